//! The picture of `mimi plot`: spectrograms, codes and errors, as SVG.

use crate::{codes::Codes, measure::Spectrogram};
use plotters::{
    coord::Shift,
    element::{Drawable, PointCollection},
    prelude::*,
};
use plotters_backend::{BackendCoord, DrawingErrorKind};
use std::ops::Range;

/// What is to be seen.
pub(crate) struct Picture<'a> {
    /// Of the recording.
    pub(crate) name: &'a str,
    /// Hz.
    pub(crate) rate: u32,
    /// Samples.
    pub(crate) frame_size: usize,
    pub(crate) input: &'a [f32],
    /// What the first `shown` codebooks make of it.
    pub(crate) output: &'a [f32],
    pub(crate) shown: usize,
    /// Bits per second of `shown` codebooks.
    pub(crate) bit_rate: f64,
    pub(crate) codes: &'a Codes,
    pub(crate) codebook_size: usize,
    /// Log-mel distance in dB with 1, 2 … codebooks.
    pub(crate) errors: &'a [f64],
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// Pixels.
const SIZE: (u32, u32) = (1000, 1080);
/// Decibels below the loudest that are drawn darkest.
const RANGE: f32 = 80.0;

/// Draws it.
pub(crate) fn svg(picture: &Picture<'_>) -> Drawn<String> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let panels = root.split_evenly((4, 1));
        let loudest = loudest(picture.input);
        let title = format!("{}: log-magnitude spectrogram", picture.name);
        draw_spectrogram(&panels[0], &title, picture.input, picture.rate, loudest)?;
        let title = format!("After the codec: {} codebooks, {:.0} bit/s", picture.shown, picture.bit_rate);
        draw_spectrogram(&panels[1], &title, picture.output, picture.rate, loudest)?;
        draw_codes(&panels[2], picture)?;
        draw_errors(&panels[3], picture.errors)?;
        root.present()?;
    }
    // plotters-svg leaves out half of the media type, without which browsers show nothing.
    Ok(text.replace("data:png;base64,", "data:image/png;base64,"))
}

/// dB of the loudest bin.
fn loudest(pcm: &[f32]) -> f32 {
    let mut spectrogram = Spectrogram::new();
    let count = Spectrogram::count(pcm.len());
    let peak = (0..count).map(|index| spectrogram.magnitudes(pcm, index).fold(0.0, f32::max));
    decibels(peak.fold(0.0, f32::max))
}

fn decibels(magnitude: f32) -> f32 {
    20.0 * magnitude.max(1e-9).log10()
}

fn draw_spectrogram(area: &Area<'_>, title: &str, pcm: &[f32], rate: u32, loudest: f32) -> Drawn {
    let mut spectrogram = Spectrogram::new();
    let columns = (0..Spectrogram::count(pcm.len()))
        .map(|index| {
            let level = |magnitude| 1.0 + (decibels(magnitude) - loudest) / RANGE;
            spectrogram.magnitudes(pcm, index).map(level).collect()
        })
        .collect();
    let rate = f64::from(rate);
    let map = Map {
        seconds: pcm.len() as f64 / rate,
        column_seconds: Spectrogram::HOP as f64 / rate,
        columns,
        unit: "kHz",
        range: 0.0..rate / 2_000.0,
    };
    draw_map(area, title, &map)
}

fn draw_codes(area: &Area<'_>, picture: &Picture<'_>) -> Drawn {
    let codes = picture.codes;
    let level = |&code: &u32| code as f32 / picture.codebook_size as f32;
    let map = Map {
        seconds: picture.input.len() as f64 / f64::from(picture.rate),
        column_seconds: picture.frame_size as f64 / f64::from(picture.rate),
        columns: codes
            .data
            .chunks_exact(codes.codebooks)
            .map(|frame| frame.iter().map(level).collect())
            .collect(),
        unit: "codebook",
        range: 0.5..codes.codebooks as f64 + 0.5,
    };
    draw_map(area, "Codes: one column a frame, one colour a code", &map)
}

/// Values from 0 to 1 over time and something else.
struct Map {
    /// Of the whole recording.
    seconds: f64,
    column_seconds: f64,
    /// One for each moment, the first value at the bottom.
    columns: Vec<Vec<f32>>,
    /// Of the vertical axis, and from where to where it goes.
    unit: &'static str,
    range: Range<f64>,
}

fn draw_map(area: &Area<'_>, title: &str, map: &Map) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..map.seconds, map.range.clone())?;
    let (width, height) = chart.plotting_area().dim_in_pixel();
    let pixel = |x: u32, y: u32| {
        let seconds = map.seconds * f64::from(x) / f64::from(width);
        let column = &map.columns[((seconds / map.column_seconds) as usize).min(map.columns.len() - 1)];
        colour(column[(height - 1 - y) as usize * column.len() / height as usize])
    };
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
    let bitmap = Bitmap { corner: (0.0, map.range.end), size: (width, height), pixels };
    chart.plotting_area().draw(&bitmap)?;
    chart.configure_mesh().disable_mesh().x_desc("s").y_desc(map.unit).y_label_formatter(&short).draw()
}

/// 3 and 2.5, not 3.0.
fn short(number: &f64) -> String {
    format!("{number}")
}

fn draw_errors(area: &Area<'_>, errors: &[f64]) -> Drawn {
    let top = errors.iter().copied().fold(1.0, f64::max) * 1.1;
    let last = errors.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .caption("Log-mel distance from the input by codebooks", ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(48)
        .build_cartesian_2d(0.5..last + 0.5, 0.0..top)?;
    let label = |x: &f64| if x.fract() == 0.0 { format!("{x}") } else { String::new() };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_desc("codebooks")
        .y_desc("dB")
        .x_label_formatter(&label)
        .draw()?;
    let points = || errors.iter().enumerate().map(|(i, &error)| ((i + 1) as f64, error));
    chart.draw_series(LineSeries::new(points(), &BLUE))?;
    chart.draw_series(points().map(|point| Circle::new(point, 3, BLUE.filled())))?;
    Ok(())
}

/// Black, blue, red, yellow, white for 0 to 1.
fn colour(value: f32) -> [u8; 3] {
    const STOPS: [[f32; 3]; 5] =
        [[0.0, 0.0, 0.0], [45.0, 20.0, 130.0], [200.0, 50.0, 80.0], [250.0, 190.0, 50.0], [255.0; 3]];
    let at = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let below = (at as usize).min(STOPS.len() - 2);
    let fraction = at - below as f32;
    std::array::from_fn(|i| {
        (STOPS[below][i] * (1.0 - fraction) + STOPS[below + 1][i] * fraction).round() as u8
    })
}

/// RGB pixels, row by row, below and to the right of a corner. (plotters' own element of this kind
/// needs its bitmap backend.)
struct Bitmap {
    corner: (f64, f64),
    size: (u32, u32),
    pixels: Vec<u8>,
}

impl<'a> PointCollection<'a, (f64, f64)> for &'a Bitmap {
    type Point = &'a (f64, f64);
    type IntoIter = std::iter::Once<&'a (f64, f64)>;

    fn point_iter(self) -> Self::IntoIter {
        std::iter::once(&self.corner)
    }
}

impl<B: DrawingBackend> Drawable<B> for Bitmap {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        mut points: I,
        backend: &mut B,
        _: (u32, u32),
    ) -> Result<(), DrawingErrorKind<B::ErrorType>> {
        match points.next() {
            Some(corner) => backend.blit_bitmap(corner, self.size, &self.pixels),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_from_black_to_white() {
        assert_eq!(colour(-1.0), [0, 0, 0]);
        assert_eq!(colour(0.5), [200, 50, 80]);
        assert_eq!(colour(2.0), [255, 255, 255]);
        assert_eq!(colour(f32::NAN), [0, 0, 0]);
    }
}
