//! Value types of the configuration, each with its range. The range is checked during parsing, so that the error knows
//! its line.

use crate::capture::camera::PixelFormat;
use crate::frame::Turn;
use crate::geometry::Size;
use crate::language::Language;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An integer from `LOW` to `HIGH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "i64")]
pub struct Count<const LOW: u32, const HIGH: u32>(pub u32);

impl<const LOW: u32, const HIGH: u32> Count<LOW, HIGH> {
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

impl<const LOW: u32, const HIGH: u32> TryFrom<i64> for Count<LOW, HIGH> {
    type Error = String;

    fn try_from(value: i64) -> Result<Self, String> {
        let fits = u32::try_from(value).ok().filter(|value| (LOW..=HIGH).contains(value));
        fits.map(Count).ok_or_else(|| format!("{value} must lie from {LOW} to {HIGH}"))
    }
}

/// Clockwise rotation in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "i64", into = "i64")]
pub enum Angle {
    None,
    Quarter,
    Half,
    ThreeQuarters,
}

impl Angle {
    pub fn turn(self) -> Turn {
        match self {
            Angle::None => Turn::None,
            Angle::Quarter => Turn::Quarter,
            Angle::Half => Turn::Half,
            Angle::ThreeQuarters => Turn::ThreeQuarters,
        }
    }
}

impl TryFrom<i64> for Angle {
    type Error = String;

    fn try_from(value: i64) -> Result<Self, String> {
        match value {
            0 => Ok(Angle::None),
            90 => Ok(Angle::Quarter),
            180 => Ok(Angle::Half),
            270 => Ok(Angle::ThreeQuarters),
            _ => Err(format!("{value} must be 0, 90, 180 or 270")),
        }
    }
}

impl From<Angle> for i64 {
    fn from(angle: Angle) -> i64 {
        match angle {
            Angle::None => 0,
            Angle::Quarter => 90,
            Angle::Half => 180,
            Angle::ThreeQuarters => 270,
        }
    }
}

/// Pixel format to request from the camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum PixelChoice {
    /// Chosen by size: motion-JPEG above 640x480, where raw pixels exceed the bandwidth of USB 2.
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "MJPG")]
    Mjpg,
    #[serde(rename = "YUYV")]
    Yuyv,
    #[serde(rename = "NV12")]
    Nv12,
}

impl PixelChoice {
    pub fn pixel_format(self) -> Option<PixelFormat> {
        match self {
            PixelChoice::Auto => None,
            PixelChoice::Mjpg => Some(PixelFormat::Mjpg),
            PixelChoice::Yuyv => Some(PixelFormat::Yuyv),
            PixelChoice::Nv12 => Some(PixelFormat::Nv12),
        }
    }
}

/// The panel that shows the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PanelName {
    /// The display itself through kernel mode setting, without a desktop.
    Kms,
    /// A window on a desktop.
    Window,
    /// The latest screen as a PNG file, for tests.
    Png,
    /// No output.
    None,
}

/// A screen's size in pixels, `"1920x1080"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScreenMode(Size);

impl ScreenMode {
    pub fn size(self) -> Size {
        self.0
    }
}

impl TryFrom<String> for ScreenMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let side = |text: &str| text.parse().ok().filter(|side: &usize| (160..=7680).contains(side));
        let size = text.split_once('x').and_then(|(width, height)| Some(Size::new(side(width)?, side(height)?)));
        size.map(ScreenMode).ok_or_else(|| format!("{text:?} is not a size such as \"1920x1080\""))
    }
}

impl From<ScreenMode> for String {
    fn from(mode: ScreenMode) -> String {
        format!("{}x{}", mode.0.width, mode.0.height)
    }
}

/// A password. It is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Secret(String);

/// Shorter passwords are too easy to guess.
const LEAST_CHARACTERS: usize = 8;

impl Secret {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Secret {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let length = text.chars().count();
        if length < LEAST_CHARACTERS || text.contains(char::is_control) {
            return Err(format!(
                "a password must have at least {LEAST_CHARACTERS} characters and no control characters"
            ));
        }
        Ok(Secret(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(hidden)")
    }
}

/// A time of day, `"21:00"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Minutes since midnight.
    pub fn minute(self) -> u16 {
        self.0
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = |text: &str, below: u16| {
            let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number: &u16| digits && *number < below)
        };
        let minute = text.split_once(':').and_then(|(hour, minute)| Some(60 * number(hour, 24)? + number(minute, 60)?));
        minute.map(TimeOfDay).ok_or_else(|| format!("{text:?} is not a time of day such as \"21:00\""))
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> String {
        format!("{:02}:{:02}", time.0 / 60, time.0 % 60)
    }
}

/// A number with one place, from `LOW` to `HIGH` tenths.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Decimal<const LOW: u32, const HIGH: u32>(pub f32);

impl<const LOW: u32, const HIGH: u32> TryFrom<f64> for Decimal<LOW, HIGH> {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        let (low, high) = (f64::from(LOW) / 10.0, f64::from(HIGH) / 10.0);
        let fits = (low..=high).contains(&value);
        fits.then_some(Decimal(value as f32)).ok_or_else(|| format!("{value} must lie from {low} to {high}"))
    }
}

impl<const LOW: u32, const HIGH: u32> From<Decimal<LOW, HIGH>> for f64 {
    fn from(value: Decimal<LOW, HIGH>) -> f64 {
        // As it was written, without the digits of a binary fraction.
        (f64::from(value.0) * 1e4).round() / 1e4
    }
}

/// Languages by their tags: `"it"`, or several that take turns, `["it", "en"]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "toml::Value", into = "Vec<String>")]
pub struct Languages(pub Vec<Language>);

impl TryFrom<toml::Value> for Languages {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let kind = || "a language is a text such as \"it\", or a list of them, [\"it\", \"en\"]".to_owned();
        let values = match value {
            toml::Value::Array(values) if !values.is_empty() => values,
            toml::Value::String(_) => vec![value],
            _ => return Err(kind()),
        };
        let language = |value: &toml::Value| Language::parse(value.as_str().ok_or_else(kind)?);
        values.iter().map(language).collect::<Result<_, _>>().map(Languages)
    }
}

impl From<Languages> for Vec<String> {
    fn from(languages: Languages) -> Vec<String> {
        languages.0.iter().map(|language| language.tag().to_owned()).collect()
    }
}
