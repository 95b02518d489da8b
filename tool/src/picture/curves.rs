//! What is lost, by the number of codebooks.

use super::{Area, Drawn, FONT_NAME, books, short};
use crate::measure::Level;
use plotters::prelude::*;
use std::ops::Range;

const LINE: RGBColor = RGBColor(40, 80, 160);
const MARK: RGBColor = RGBColor(200, 60, 75);
const GRID: RGBColor = RGBColor(225, 225, 225);

/// Log-mel distance and SI-SDR, side by side; the point of `marked` codebooks stands out.
pub(super) fn draw<B: DrawingBackend>(area: &Area<B>, levels: &[Level], marked: Option<usize>) -> Drawn<B> {
    let halves = area.split_evenly((1, 2));
    let values: Vec<f64> = levels.iter().map(|level| level.log_mel).collect();
    let top = values.iter().copied().filter(|value| value.is_finite()).fold(1.0, f64::max) * 1.1;
    draw_curve(&halves[0], "Log-mel distance (less is better)", &values, 0.0..top, marked)?;
    let values: Vec<f64> = levels.iter().map(|level| level.si_sdr).collect();
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(0.0, f64::min), finite().fold(1.0, f64::max));
    let margin = 0.1 * (high - low);
    draw_curve(&halves[1], "SI-SDR (more is better)", &values, low - margin..high + margin, marked)
}

/// `values` in dB for 1, 2 … codebooks.
fn draw_curve<B: DrawingBackend>(
    area: &Area<B>,
    title: &str,
    values: &[f64],
    range: Range<f64>,
    marked: Option<usize>,
) -> Drawn<B> {
    let title = match marked {
        Some(count) => format!("{title}; red: {}", books(count)),
        None => title.to_owned(),
    };
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT_NAME, 18))
        .margin(8)
        .margin_right(16)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.5..values.len() as f64 + 0.5, range)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .label_style((FONT_NAME, 14))
        .x_labels(values.len().min(32))
        .x_desc("codebooks")
        .y_desc("dB")
        .x_label_formatter(&|x| if x.fract() == 0.0 { short(x) } else { String::new() })
        .y_label_formatter(&short)
        .draw()?;
    let points = || values.iter().enumerate().map(|(index, &value)| ((index + 1) as f64, value));
    let finite = || points().filter(|(_, value)| value.is_finite());
    chart.draw_series(LineSeries::new(finite(), LINE.stroke_width(2)))?;
    chart.draw_series(finite().map(|point| {
        let is_marked = marked.is_some_and(|count| point.0 == count as f64);
        Circle::new(point, if is_marked { 6 } else { 4 }, if is_marked { MARK } else { LINE }.filled())
    }))?;
    Ok(())
}
