//! NVIDIA's TensorRT: builds an engine from a graph, and runs it. Where the feature `tensorrt` is off, opening it is an error
//! that says so.
//!
//! `shim.cpp` is TensorRT's C++ behind a C ABI, `roi_align.cu` what a GPU does between two graphs, `native.rs` what is safe to
//! use of both, `engine.rs` the [`Engine`](super::Engine).

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

/// How a build may use the machine, and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct BuildLimits {
    /// Bytes that the builder may use while it tries kernels; a layer may have a quarter of it.
    pub memory: u64,
    /// Compute capability to build for where no GPU is asked, 86 for 8.6; TensorRT-RTX only.
    pub capability: Option<i32>,
}

/// How far a build is: TensorRT's own phases, which lie in one another.
#[derive(Clone, Copy, Debug)]
pub enum BuildEvent<'a> {
    Begin { phase: &'a str, outermost: bool, steps: u32 },
    Step { phase: &'a str, done: u32 },
    End { phase: &'a str },
}

/// Is told of every step, from any thread; `false` ends the build.
pub type Watch<'a> = dyn FnMut(BuildEvent) -> bool + Send + 'a;

/// How much of a build is done, made of its phases.
#[derive(Debug, Default)]
pub struct BuildProgress {
    /// Phases under way, outermost first: name, steps done, steps.
    phases: Vec<(String, u32, u32)>,
    most: f64,
}

impl BuildProgress {
    /// Takes an event in; the share that is done, 0 to 1, which never goes back.
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
                    // What lay inside this step is over.
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
    fn phases_in_phases_add_up_and_never_go_back() {
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
    fn without_the_feature_it_says_how_to_get_it() {
        let fault = TensorRt::open().map(|_| ()).unwrap_err();
        assert_eq!(fault.kind(), crate::fault::Kind::Unavailable);
        assert!(fault.to_string().contains("--features tensorrt"), "{fault}");
    }
}
