//! A picture's feature maps and the heads that read RoIs of them, wherever both are: RoIAlign runs where the trunk ran.

use crate::fault::Result;
use crate::geometry::{Network, Rect, Size};
use crate::metrics::StageTimes;
use crate::network::tensorrt::DeviceMaps;
use crate::network::{Engine, FeatureMaps};
use crate::seam::settings::{FeatureSettings, RoiSettings};
use crate::seam::{Levels, Pyramid};
use crate::tensor::Tensor;

/// The feature maps of one look at a picture.
pub enum Features {
    /// In main memory.
    Host(Pyramid),
    /// On the GPU.
    Device(DeviceMaps, Levels),
}

/// What a head reads: RoIs of `side` x `side` bins. Its time stands under `name`, that of RoIAlign on the CPU under `rois`; on
/// the GPU both are one run.
pub struct RoiHead {
    pub name: &'static str,
    pub rois: &'static str,
    pub side: usize,
}

impl Features {
    /// `maps`: one a level of the manifest's; `input`: the network input's size.
    pub fn new(maps: FeatureMaps, settings: &FeatureSettings, input: Size) -> Self {
        match maps {
            FeatureMaps::Host(maps) => Features::Host(Pyramid::new(maps, settings, input)),
            FeatureMaps::Device(maps) => {
                let grids: Vec<[usize; 2]> = maps.shapes().iter().map(|shape| [shape[2], shape[3]]).collect();
                Features::Device(maps, Levels::new(grids, settings, input))
            }
        }
    }

    /// Runs a head on the RoIs of `boxes`: a row each.
    pub fn run_head(
        &self,
        head: &RoiHead,
        engine: &mut dyn Engine,
        boxes: &[Rect<Network>],
        settings: &RoiSettings,
        times: &mut StageTimes,
    ) -> Result<Vec<Tensor>> {
        match self {
            Features::Host(pyramid) => {
                let mixes = engine.mixes();
                // Of few boxes, the bins are fewer than the places of the maps.
                if mixes.is_empty() || boxes.len() / mixes.len() * head.side * head.side < pyramid.places() {
                    let rois = times.time(head.rois, || pyramid.roi_align(boxes, head.side, settings));
                    return times.time(head.name, || engine.run(vec![rois]));
                }
                let rois: Vec<Tensor> = times.time(head.rois, || {
                    let of_mix = mixes.iter().enumerate().map(|(number, mix)| {
                        let own: Vec<_> = boxes.iter().skip(number).step_by(mixes.len()).copied().collect();
                        pyramid.mixed(mix).roi_align(&own, head.side, settings)
                    });
                    of_mix.collect()
                });
                times.time(head.name, || engine.run_mixed(&rois))
            }
            Features::Device(maps, levels) => times.time(head.name, || {
                let grids: Vec<_> = boxes.iter().map(|bounds| levels.grid(bounds, head.side, settings)).collect();
                engine.run_head(maps, &grids, settings.sampling_ratio)
            }),
        }
    }
}
