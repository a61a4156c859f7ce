//! With the feature `tensorrt`: compiles the TensorRT shim, once per installed set of NVIDIA's headers, and the
//! RoIAlign kernel as C++ for tests.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for set in ["10", "11", "rtx"] {
        println!("cargo::rustc-check-cfg=cfg(tensorrt_{set})");
    }
    #[cfg(feature = "tensorrt")]
    shim::compile();
}

#[cfg(feature = "tensorrt")]
mod shim {
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    const SOURCE: &str = "src/network/tensorrt/shim.cpp";
    const KERNEL: &str = "src/network/tensorrt/roi_align.cu";
    /// The only CUDA declarations that TensorRT's headers need.
    const CUDA: &str =
        "#pragma once\ntypedef struct CUstream_st* cudaStream_t;\ntypedef struct CUevent_st* cudaEvent_t;\n";

    pub fn compile() {
        println!("cargo::rerun-if-changed={SOURCE}");
        println!("cargo::rerun-if-env-changed=VETRINA_TENSORRT_HEADERS");
        let named = env::var_os("VETRINA_TENSORRT_HEADERS").map(PathBuf::from);
        let headers = named.unwrap_or_else(|| folder("CARGO_MANIFEST_DIR").join("target/tensorrt-headers"));
        println!("cargo::rerun-if-changed={}", headers.display());
        let cuda = folder("OUT_DIR").join("cuda");
        let stub = fs::create_dir_all(&cuda).and_then(|()| fs::write(cuda.join("cuda_runtime_api.h"), CUDA));
        stub.expect("OUT_DIR can be written");
        let sets = ["10", "11", "rtx"].map(|set| (set, headers.join(set)));
        let here: Vec<_> = sets.iter().filter(|(_, headers)| headers.join("NvInfer.h").exists()).collect();
        assert!(
            !here.is_empty(),
            "the feature tensorrt needs TensorRT's headers in {}: run scripts/fetch-tensorrt-headers",
            headers.display()
        );
        for (set, headers) in here {
            object(set, headers, &cuda);
            println!("cargo::rustc-cfg=tensorrt_{set}");
        }
        kernel();
    }

    /// Only tests call it, so it is linked into no program.
    fn kernel() {
        println!("cargo::rerun-if-changed={KERNEL}");
        let mut build = cc::Build::new();
        build.cpp(true).std("c++17").flag("-x").flag("c++").file(KERNEL).warnings_into_errors(true);
        build.compile("vetrina_roi_align");
    }

    fn object(set: &str, headers: &Path, cuda: &Path) {
        let mut build = cc::Build::new();
        // The sets define the same inline functions for different classes. Where the compiler inlines none, the linker keeps one set's
        // for all, unless their names differ.
        for namespace in ["nvinfer1", "nvonnxparser"] {
            build.define(namespace, Some(format!("{namespace}_{set}").as_str()));
        }
        build
            .cpp(true)
            .std("c++17")
            .file(SOURCE)
            .define("VETRINA_SHIM", Some(format!("vetrina_shim_{set}").as_str()))
            // NVIDIA's headers cause warnings.
            .flag("-isystem")
            .flag(headers)
            .flag("-isystem")
            .flag(cuda)
            .flag("-Wno-deprecated-declarations")
            .warnings_into_errors(true)
            .compile(&format!("vetrina_shim_{set}"));
    }

    fn folder(variable: &str) -> PathBuf {
        PathBuf::from(env::var_os(variable).expect("cargo sets it"))
    }
}
