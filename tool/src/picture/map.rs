//! Values over time and something else, as colours, with their key beside them.

use super::{Area, Drawn, FONT_NAME, short};
use plotters::{
    element::{Drawable, PointCollection},
    prelude::*,
};
use plotters_backend::{BackendCoord, DrawingErrorKind};
use std::ops::Range;

/// Pixels of the key and its labels, at the right of the map.
const KEY_WIDTH: u32 = 110;

/// Values from 0 to 1.
pub(super) struct Map {
    /// Of the whole recording.
    pub(super) seconds: f64,
    pub(super) column_seconds: f64,
    /// One for each moment, the first value at the bottom.
    pub(super) columns: Vec<Vec<f32>>,
    /// What the vertical axis is, and from where to where it goes.
    pub(super) vertical: &'static str,
    pub(super) range: Range<f64>,
    /// What the colours are, and from where to where they go.
    pub(super) key: &'static str,
    pub(super) key_range: Range<f64>,
}

impl Map {
    fn value(&self, across: f64, up: f64) -> f32 {
        let column = (self.seconds * across / self.column_seconds) as usize;
        let column = &self.columns[column.min(self.columns.len() - 1)];
        column[((up * column.len() as f64) as usize).min(column.len() - 1)]
    }
}

pub(super) fn draw<B: DrawingBackend>(area: &Area<B>, title: &str, map: &Map) -> Drawn<B> {
    let (width, _) = area.dim_in_pixel();
    let (left, right) = area.split_horizontally(width - KEY_WIDTH);
    let mut chart = ChartBuilder::on(&left)
        .caption(title, (FONT_NAME, 18))
        .margin(8)
        .margin_right(16)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..map.seconds, map.range.clone())?;
    let size = chart.plotting_area().dim_in_pixel();
    chart.plotting_area().draw(&bitmap((0.0, map.range.end), size, |across, up| map.value(across, up)))?;
    chart
        .configure_mesh()
        .disable_mesh()
        .label_style((FONT_NAME, 14))
        .x_desc("time, s")
        .y_desc(map.vertical)
        .x_label_formatter(&short)
        .y_label_formatter(&|number| if number.fract() == 0.0 { short(number) } else { String::new() })
        .draw()?;
    draw_key(&right, map)
}

/// As high as the map, whose caption and labels it has room for.
fn draw_key<B: DrawingBackend>(area: &Area<B>, map: &Map) -> Drawn<B> {
    let mut chart = ChartBuilder::on(area)
        .caption(" ", (FONT_NAME, 18))
        .margin(8)
        .margin_left(0)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..1.0, map.key_range.clone())?;
    let size = chart.plotting_area().dim_in_pixel();
    chart.plotting_area().draw(&bitmap((0.0, map.key_range.end), size, |_, up| up as f32))?;
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .label_style((FONT_NAME, 14))
        .y_desc(map.key)
        // a space between a number and its mark
        .y_label_formatter(&|number| short(number) + "\u{a0}")
        .draw()
}

/// A bitmap of the colours of `value`, which is asked for places from 0 to 1, from left to right and
/// from bottom to top.
fn bitmap(corner: (f64, f64), size: (u32, u32), value: impl Fn(f64, f64) -> f32) -> Bitmap {
    let (width, height) = size;
    let place = |index: u32, count: u32| (f64::from(index) + 0.5) / f64::from(count);
    let mut pixels = Vec::with_capacity((width * height * 3) as usize);
    for y in (0..height).rev() {
        for x in 0..width {
            pixels.extend(colour(value(place(x, width), place(y, height))));
        }
    }
    Bitmap { corner, size, pixels }
}

/// Black, violet, red, yellow, white for 0 to 1: brightness grows evenly, so that it reads in grey as
/// well.
fn colour(value: f32) -> [u8; 3] {
    const STOPS: [[f32; 3]; 5] =
        [[0.0, 0.0, 0.0], [80.0, 25.0, 120.0], [200.0, 60.0, 75.0], [250.0, 165.0, 45.0], [255.0; 3]];
    let at = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let below = (at as usize).min(STOPS.len() - 2);
    let fraction = at - below as f32;
    std::array::from_fn(|i| {
        (STOPS[below][i] * (1.0 - fraction) + STOPS[below + 1][i] * fraction).round() as u8
    })
}

/// RGB pixels, row by row, below and to the right of a corner. (plotters' own element of this kind
/// needs the bitmap backend.)
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
    fn colours_go_from_black_to_white_and_never_darker() {
        assert_eq!(colour(-1.0), [0, 0, 0]);
        assert_eq!(colour(0.5), [200, 60, 75]);
        assert_eq!(colour(2.0), [255, 255, 255]);
        assert_eq!(colour(f32::NAN), [0, 0, 0]);
        let brightness = |i: u16| {
            let [r, g, b] = colour(f32::from(i) / 256.0).map(f32::from);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        assert!((0..256).all(|i| brightness(i + 1) >= brightness(i)));
    }

    #[test]
    fn places_lead_to_the_values_there() {
        let map = Map {
            seconds: 2.5,
            column_seconds: 1.0,
            columns: vec![vec![0.0, 0.1], vec![0.2, 0.3], vec![0.4, 0.5]],
            vertical: "",
            range: 0.0..1.0,
            key: "",
            key_range: 0.0..1.0,
        };
        assert_eq!(map.value(0.0, 0.0), 0.0);
        assert_eq!(map.value(0.39, 0.51), 0.1);
        assert_eq!(map.value(0.41, 0.0), 0.2);
        assert_eq!(map.value(1.0, 1.0), 0.5);
    }
}
