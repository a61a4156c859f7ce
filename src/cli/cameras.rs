//! `vetrina cameras`: lists the connected cameras and their formats.

use super::table::{Table, json, print};
use crate::capture::v4l2::{CameraInfo, list};
use crate::fault::Result;
use clap::Args;
use serde_json::json;

/// List the connected cameras and their formats
#[derive(Args, Clone, Debug)]
pub struct CamerasArgs {
    /// Print JSON: one object for each camera
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &CamerasArgs) -> Result<()> {
    let cameras = list();
    if args.json {
        let cameras: Vec<_> = cameras
            .iter()
            .map(|camera| {
                let formats = camera.formats.iter().map(|(name, size)| {
                    json!({ "format": name, "width": size.map(|size| size.width), "height": size.map(|size| size.height) })
                });
                json!({
                    "source": source(camera), "device": camera.path, "name": camera.name, "bus": camera.bus,
                    "formats": formats.collect::<Vec<_>>(),
                })
            })
            .collect();
        return print(&json(&json!(cameras))?);
    }
    if cameras.is_empty() {
        return print("no camera found that this user may open (a CSI camera of a Jetson is `csi://0` and not listed)");
    }
    let mut table = Table::new(&["source", "camera", "bus", "formats up to"]);
    for camera in &cameras {
        let formats: Vec<String> = camera
            .formats
            .iter()
            .map(|(name, size)| match size {
                Some(size) => format!("{name} {}x{}", size.width, size.height),
                None => name.clone(),
            })
            .collect();
        table.row([source(camera), camera.name.clone(), camera.bus.clone(), formats.join(", ")]);
    }
    print(&table.render())
}

/// The URI for the configuration: by stable name, if there is one.
fn source(camera: &CameraInfo) -> String {
    format!("v4l2://{}", camera.stable.first().unwrap_or(&camera.path).display())
}
