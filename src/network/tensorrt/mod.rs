//! NVIDIA TensorRT: builds and runs engines. Without the feature `tensorrt`, opening it returns an error that says so.
//!
//! `shim.cpp` exposes TensorRT's C++ API as a C ABI, `roi_align.cu` runs between two graphs on the GPU, `native/` is
//! the safe interface to both, `engine.rs` implements [`Engine`](super::Engine).

#[cfg(not(feature = "tensorrt"))]
mod absent;
#[cfg(feature = "tensorrt")]
mod engine;
#[cfg(feature = "tensorrt")]
mod native;
#[cfg(feature = "tensorrt")]
mod roi_align;
#[cfg(feature = "tensorrt")]
mod version;

#[cfg(not(feature = "tensorrt"))]
pub use absent::{DeviceMaps, TensorRt};
#[cfg(feature = "tensorrt")]
pub use engine::{DeviceMaps, TensorRt};

/// Limits and target of a build.
#[derive(Clone, Copy, Debug)]
pub struct BuildLimits {
    /// Workspace of the builder in bytes; one layer may use a quarter of it.
    pub memory: u64,
    /// Compute capability to build for without a GPU, 86 for 8.6. TensorRT-RTX only.
    pub capability: Option<i32>,
}

/// Progress of a build: TensorRT's phases, which are nested.
#[derive(Clone, Copy, Debug)]
pub enum BuildEvent<'a> {
    Begin { phase: &'a str, outermost: bool, steps: u32 },
    Step { phase: &'a str, done: u32 },
    End { phase: &'a str },
}

/// Called for every step, from any thread. Returning `false` cancels the build.
pub type Watch<'a> = dyn FnMut(BuildEvent) -> bool + Send + 'a;

/// Fraction of a build that is done, computed from its phases.
#[derive(Debug, Default)]
pub struct BuildProgress {
    /// Phases in progress, outermost first: name, steps done, steps in total.
    phases: Vec<(String, u32, u32)>,
    most: f64,
}

impl BuildProgress {
    /// Processes an event. Returns the fraction done, 0 to 1, which never decreases.
    pub fn take(&mut self, event: BuildEvent) -> f64 {
        match event {
            BuildEvent::Begin { phase, outermost, steps } => {
                if outermost {
                    self.phases.clear();
                }
                self.phases.push((phase.to_owned(), 0, steps.max(1)));
            }
            BuildEvent::Step { phase, done } => {
                let known = self.phases.iter().position(|(name, _, _)| name == phase);
                if let Some(known) = known {
                    self.phases[known].1 = done;
                    // Phases nested in this step are over.
                    self.phases.truncate(known + 1);
                }
            }
            BuildEvent::End { phase } => {
                let known = self.phases.iter().position(|(name, _, _)| name == phase);
                self.phases.truncate(known.unwrap_or(self.phases.len()));
            }
        }
        let (mut share, mut scale) = (0.0, 1.0);
        for (_, done, steps) in &self.phases {
            share += scale * f64::from(*done) / f64::from(*steps);
            scale /= f64::from(*steps);
        }
        self.most = self.most.max(share.min(1.0));
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_phases_add_up_and_never_decrease() {
        let mut progress = BuildProgress::default();
        let begin = |phase, outermost, steps| BuildEvent::Begin { phase, outermost, steps };
        assert_eq!(progress.take(begin("build", true, 2)), 0.0);
        assert_eq!(progress.take(BuildEvent::Step { phase: "build", done: 1 }), 0.5);
        assert_eq!(progress.take(begin("tune", false, 4)), 0.5);
        assert_eq!(progress.take(BuildEvent::Step { phase: "tune", done: 2 }), 0.75);
        assert_eq!(progress.take(BuildEvent::Step { phase: "unknown", done: 9 }), 0.75);
        assert_eq!(progress.take(BuildEvent::End { phase: "tune" }), 0.75);
        assert_eq!(progress.take(BuildEvent::Step { phase: "build", done: 2 }), 1.0);
        assert_eq!(progress.take(begin("again", true, 8)), 1.0);
    }

    #[cfg(not(feature = "tensorrt"))]
    #[test]
    fn without_the_feature_the_error_says_how_to_enable_it() {
        let fault = TensorRt::open().map(|_| ()).unwrap_err();
        assert_eq!(fault.kind(), crate::fault::Kind::Unavailable);
        assert!(fault.to_string().contains("--features tensorrt"), "{fault}");
    }
}
