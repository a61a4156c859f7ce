//! A calibration in the catalogue's file: computed once at an import, not at every start of a mirror.

use super::calibration::Calibration;
use super::index::Index;
use super::settings::write_setting;
use super::store::Catalogue;
use crate::fault::Result;
use crate::seam::Region;
use serde::{Deserialize, Serialize};

/// The setting that holds a calibration.
const CALIBRATION: &str = "calibration";

/// A calibration, and what it was computed from: it does not hold for another index.
#[derive(Serialize, Deserialize)]
struct KeptCalibration {
    generation: Option<i64>,
    descriptor_hash: String,
    /// Rows of the index.
    rows: usize,
    /// Margins of strangers, by region.
    strangers: [Vec<f32>; Region::ALL.len()],
}

impl Catalogue {
    /// The calibration of `index`, which was loaded from this file: the stored one, if it was computed from the same generation,
    /// model and number of pictures; else it is computed. With the wrong answers that staff confirmed.
    pub fn calibration(&self, index: &Index) -> Result<Calibration> {
        let kept: Option<KeptCalibration> = serde_json::from_str(&self.setting(CALIBRATION)?).ok();
        let (generation, hash) = self.calibrated_for()?;
        let fits = |kept: &KeptCalibration| {
            kept.generation == generation && kept.descriptor_hash == hash && kept.rows == index.gallery().rows()
        };
        let of_pictures = match kept.filter(fits) {
            Some(kept) => Calibration::from_margins(kept.strangers),
            None => Calibration::of(index),
        };
        Ok(of_pictures.with_confirmed(&self.confirmed_strangers(&hash)?))
    }

    /// Computes the calibration of `index`, which was loaded from this file, and keeps it.
    pub fn calibrate(&mut self, index: &Index) -> Result<Calibration> {
        let (generation, descriptor_hash) = self.calibrated_for()?;
        let calibration = Calibration::of(index).with_confirmed(&self.confirmed_strangers(&descriptor_hash)?);
        let rows = index.gallery().rows();
        let kept = KeptCalibration { generation, descriptor_hash, rows, strangers: calibration.margins().clone() };
        let text = serde_json::to_string(&kept).map_err(|error| {
            crate::fault::Fault::new(crate::fault::Kind::Internal, "cannot write a calibration").cause(error)
        })?;
        self.change(|transaction, fail| write_setting(transaction, CALIBRATION, &text).map_err(fail))?;
        Ok(calibration)
    }

    /// Takes in what staff has said since `calibration` was made.
    pub fn recalibrated(&self, calibration: Calibration) -> Result<Calibration> {
        Ok(calibration.with_confirmed(&self.confirmed_strangers(&self.calibrated_for()?.1)?))
    }

    fn calibrated_for(&self) -> Result<(Option<i64>, String)> {
        let stamp = self.stamp()?;
        Ok((self.generation()?, stamp.map(|stamp| stamp.descriptor_hash).unwrap_or_default()))
    }
}
