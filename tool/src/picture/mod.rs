//! Pictures: spectrograms, codes and errors, as PNG or SVG.

mod curves;
mod map;

use crate::{
    codes::Codes,
    failure::{Failure, Outcome},
    measure::{Level, Spectrogram},
    standard,
};
use map::Map;
use plotters::{coord::Shift, prelude::*, style::register_font};
use std::path::Path;

/// Letters for bitmaps; `font/README.md` says whose.
static FONT: &[u8] = include_bytes!("font/DejaVuSans.ttf");
const FONT_NAME: &str = "sans-serif";

/// Decibels below the loudest that are drawn darkest.
const RANGE: f32 = 80.0;

type Area<B> = DrawingArea<B, Shift>;
type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// How a picture is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Png,
    Svg,
}

impl Format {
    /// The format that `path` asks for by its extension; PNG for standard output.
    pub(crate) fn of(path: &Path) -> Outcome<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if standard::is_standard(path) => Ok(Self::Png),
            Some("png") => Ok(Self::Png),
            Some("svg") => Ok(Self::Svg),
            _ => Err(Failure::usage(format!("{}: expected the extension .png or .svg", path.display()))),
        }
    }
}

/// What can be drawn.
pub(crate) trait Picture {
    /// Pixels.
    fn size(&self) -> (u32, u32);

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B>;
}

/// Draws it.
pub(crate) fn render(picture: &impl Picture, format: Format) -> Outcome<Vec<u8>> {
    register_font(FONT_NAME, FontStyle::Normal, FONT).map_err(|_| failure("the font is damaged"))?;
    let (width, height) = picture.size();
    match format {
        Format::Png => {
            let mut pixels = vec![0; (width * height * 3) as usize];
            let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
            finish(picture, &area)?;
            drop(area);
            png(&pixels, width, height)
        }
        Format::Svg => {
            let mut text = String::new();
            let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
            finish(picture, &area)?;
            drop(area);
            // plotters-svg leaves out half of the media type, without which browsers show nothing.
            Ok(text.replace("data:png;base64,", "data:image/png;base64,").into_bytes())
        }
    }
}

fn finish<B: DrawingBackend>(picture: &impl Picture, area: &Area<B>) -> Outcome {
    let drawn = area.fill(&WHITE).and_then(|()| picture.draw(area)).and_then(|()| area.present());
    drawn.map_err(failure)
}

fn png(pixels: &[u8], width: u32, height: u32) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().map_err(failure)?;
    writer.write_image_data(pixels).and_then(|()| writer.finish()).map_err(failure)?;
    Ok(bytes)
}

fn failure(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("drawing failed: {error}"))
}

/// The picture of `mimi plot`.
pub(crate) struct Overview<'a> {
    /// Of the recording.
    pub(crate) name: &'a str,
    /// Of the model.
    pub(crate) model: &'a str,
    /// Hz.
    pub(crate) rate: u32,
    /// Samples.
    pub(crate) frame_size: usize,
    pub(crate) input: &'a [f32],
    /// What the first `shown` codebooks make of it.
    pub(crate) output: &'a [f32],
    pub(crate) shown: usize,
    pub(crate) codes: &'a Codes,
    pub(crate) codebook_size: usize,
    /// What is lost with 1, 2 … codebooks.
    pub(crate) levels: &'a [Level],
}

impl Picture for Overview<'_> {
    fn size(&self) -> (u32, u32) {
        (1200, 1200)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        let panels = area.split_evenly((4, 1));
        let loudest = loudest(self.input);
        map::draw(&panels[0], &format!("{}, the input", self.name), &self.spectrogram(self.input, loudest))?;
        let kilobits = self.levels[self.shown - 1].kilobits;
        let title = format!("The output: {} of {}, {kilobits:.3} kbit/s", books(self.shown), self.model);
        map::draw(&panels[1], &title, &self.spectrogram(self.output, loudest))?;
        map::draw(
            &panels[2],
            "The codes: a column for each frame, a colour for each code",
            &self.code_map(),
        )?;
        curves::draw(&panels[3], self.levels, Some(self.shown))
    }
}

fn books(count: usize) -> String {
    format!("{count} codebook{}", if count == 1 { "" } else { "s" })
}

impl Overview<'_> {
    fn spectrogram(&self, pcm: &[f32], loudest: f32) -> Map {
        let mut spectrogram = Spectrogram::new();
        let columns = (0..Spectrogram::count(pcm.len())).map(|index| {
            let level = |magnitude| 1.0 + (decibels(magnitude) - loudest) / RANGE;
            spectrogram.magnitudes(pcm, index).map(level).collect()
        });
        let rate = f64::from(self.rate);
        Map {
            seconds: self.input.len() as f64 / rate,
            column_seconds: Spectrogram::HOP as f64 / rate,
            columns: columns.collect(),
            vertical: "frequency, kHz",
            range: 0.0..rate / 2_000.0,
            key: "dB below the loudest",
            key_range: -f64::from(RANGE)..0.0,
        }
    }

    fn code_map(&self) -> Map {
        let last = (self.codebook_size - 1) as f64;
        let level = |&code: &u32| (f64::from(code) / last) as f32;
        let rate = f64::from(self.rate);
        let frames = self.codes.data.chunks_exact(self.codes.codebooks);
        Map {
            seconds: self.input.len() as f64 / rate,
            column_seconds: self.frame_size as f64 / rate,
            columns: frames.map(|frame| frame.iter().map(level).collect()).collect(),
            vertical: "codebook",
            range: 0.5..self.codes.codebooks as f64 + 0.5,
            key: "code",
            key_range: 0.0..last,
        }
    }
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

/// The picture of `mimi compare --plot`.
pub(crate) struct Losses<'a> {
    pub(crate) levels: &'a [Level],
}

impl Picture for Losses<'_> {
    fn size(&self) -> (u32, u32) {
        (1200, 420)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B> {
        curves::draw(area, self.levels, None)
    }
}

/// 3 and 2.5, not 3.0.
fn short(number: &f64) -> String {
    // what is left of sums such as 0.1 + 0.2
    format!("{}", (number * 1e6).round() / 1e6)
}
