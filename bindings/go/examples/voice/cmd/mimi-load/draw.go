package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func readAll(response *http.Response) string {
	data, _ := io.ReadAll(response.Body)
	return string(data)
}

// cpuName is the processor's, where the system tells it.
func cpuName() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "an unknown processor"
}

// The picture's plane: shares of the load that calls of eight streams carry, and milliseconds.
const (
	left, top      = 60, 30
	width, height  = 620, 300
	mostShare      = 1.1
	mostLatency    = 160.0
	latencyBetween = 20
)

func x(share float64) float64   { return left + width*min(share, mostShare)/mostShare }
func y(latency float64) float64 { return top + height*(1-min(latency, mostLatency)/mostLatency) }

// draw writes an SVG of curves: the median, the 99th hundredth and the longest of the times to codes.
func draw(path string, files []string) error {
	var svg strings.Builder
	line := func(x1, y1, x2, y2 float64, style string) {
		fmt.Fprintf(&svg, "<path d=\"M%.1f %.1fL%.1f %.1f\" %s/>\n", x1, y1, x2, y2, style)
	}
	text := func(x, y float64, anchor, words string) {
		fmt.Fprintf(&svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, words)
	}
	fmt.Fprintf(&svg, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\" fill=\"none\">\n", left+width+20, top+height+60+16*len(files))
	fmt.Fprintf(&svg, "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n<g fill=\"#333\">\n")
	text(left, 18, "start", "Milliseconds from a frame's last sample to its codes: median (dotted), 99 of 100 (line), longest (dashed)")
	for latency := 0; latency <= mostLatency; latency += latencyBetween {
		text(left-8, y(float64(latency))+4, "end", fmt.Sprint(latency))
	}
	for share := 0; share <= 100; share += 10 {
		text(x(float64(share)/100), top+height+18, "middle", fmt.Sprintf("%d %%", share))
	}
	text(left+width/2, top+height+38, "middle", "conversations, of those that calls of eight streams on all cores carry")
	colours := []string{"#06c", "#c40", "#082", "#808"}
	for i, file := range files {
		r, err := readCurve(file)
		if err != nil {
			return err
		}
		fmt.Fprintf(&svg, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s on %s: %d conversations without a late frame, %.0f %% of %.1f</text>\n",
			left, top+height+60+16*i, colours[i%len(colours)], r.Precision, r.CPU, r.kept(), 100*float64(r.kept())/r.Carried, r.Carried)
	}
	fmt.Fprintln(&svg, "</g>")
	for latency := 0; latency <= mostLatency; latency += latencyBetween {
		line(left, y(float64(latency)), left+width, y(float64(latency)), `stroke="#ddd"`)
	}
	line(left, y(80), left+width, y(80), `stroke="#000"`)
	line(x(0.85), top, x(0.85), top+height, `stroke="#000" stroke-dasharray="1 3"`)
	for i, file := range files {
		r, err := readCurve(file)
		if err != nil {
			return err
		}
		for _, of := range []struct {
			style   string
			latency func(times) float64
		}{
			{`stroke-dasharray="2 3"`, func(t times) float64 { return t.P50 }},
			{`stroke-width="2"`, func(t times) float64 { return t.P99 }},
			{`stroke-dasharray="7 4"`, func(t times) float64 { return t.Max }},
		} {
			fmt.Fprintf(&svg, "<polyline stroke=\"%s\" %s points=\"", colours[i%len(colours)], of.style)
			for _, s := range r.Steps {
				fmt.Fprintf(&svg, "%.1f,%.1f ", x(float64(s.Conversations)/r.Carried), y(of.latency(s.Codes)))
			}
			fmt.Fprintln(&svg, `"/>`)
		}
	}
	fmt.Fprintln(&svg, "</svg>")
	return os.WriteFile(path, []byte(svg.String()), 0o644)
}

func readCurve(file string) (*curveReport, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := new(curveReport)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if r.Carried <= 0 {
		return nil, fmt.Errorf("%s: no report of -curve", file)
	}
	return r, nil
}
