//! Tests the GPU code on a simulated device: a driver that uses main memory and whose only kernel is `roi_align.cu`
//! compiled as C++, and a library whose engines are two functions. They test buffers, launches, order and lifetimes,
//! not TensorRT.
//!
//! SAFETY: all pointers come from the code of this folder, which passes each function what NVIDIA's expects.

use super::super::engine::TensorRt;
use super::super::roi_align::{self, Roi};
use super::interface::{BuildOptions, Driver, Factories, Ptr, RawInfo, Shim};
use super::library_tests::vetrina_roi_align_on_the_cpu;
use super::nvinfer::log_hook;
use super::{Gpu, Maps, Nvinfer};
use crate::geometry::{Network, Rect, Size};
use crate::metrics::StageTimes;
use crate::network::{Engine, FeatureMaps};
use crate::pipeline::features::{Features, RoiHead};
use crate::seam::settings::{FeatureSettings, RoiSettings};
use crate::seam::{FeatureMap, Pyramid, RoiGrid};
use crate::tensor::Tensor;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::Arc;

const SUCCESS: i32 = 0;
const INVALID_VALUE: i32 = 1;
const STREAM: usize = 0x57;
const CHANNELS: usize = 40;
const INPUT: Size = Size::new(192, 128);
/// RoIs x side x side x channels; 0 is dynamic.
const ROIS: [usize; 4] = [3, 7, 7, CHANNELS];
const OPEN_ROIS: [usize; 4] = [0, 7, 7, CHANNELS];

thread_local! {
    /// Simulated GPU memory: allocations by address.
    static HEAP: RefCell<BTreeMap<u64, Vec<f32>>> = const { RefCell::new(BTreeMap::new()) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Values of an allocation, which must have this size in bytes.
fn with_memory<T>(device: u64, bytes: usize, work: impl FnOnce(&mut [f32]) -> T) -> Option<T> {
    HEAP.with_borrow_mut(|heap| heap.get_mut(&device)?.get_mut(..bytes.div_ceil(4)).map(work))
}

unsafe extern "C" fn nothing(_: u32) -> i32 {
    SUCCESS
}
unsafe extern "C" fn no_name(_: i32, _: *mut *const c_char) -> i32 {
    INVALID_VALUE
}
unsafe extern "C" fn version(out: *mut i32) -> i32 {
    unsafe { *out = 12_060 };
    SUCCESS
}
unsafe extern "C" fn device(out: *mut i32, _: i32) -> i32 {
    unsafe { *out = 0 };
    SUCCESS
}
unsafe extern "C" fn name(out: *mut c_char, room: i32, _: i32) -> i32 {
    assert!(room > 2);
    unsafe { std::ptr::copy_nonoverlapping(c"M".as_ptr(), out, 2) };
    SUCCESS
}
unsafe extern "C" fn attribute(out: *mut i32, _: i32, _: i32) -> i32 {
    unsafe { *out = 8 };
    SUCCESS
}
unsafe extern "C" fn retain(out: *mut Ptr, _: i32) -> i32 {
    unsafe { *out = null_mut() };
    SUCCESS
}
unsafe extern "C" fn make_current(_: Ptr) -> i32 {
    SUCCESS
}
unsafe extern "C" fn alloc(out: *mut u64, bytes: usize) -> i32 {
    let memory = vec![f32::NAN; bytes.div_ceil(8) * 2];
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    unsafe { *out = memory.as_ptr() as u64 };
    HEAP.with_borrow_mut(|heap| heap.insert(memory.as_ptr() as u64, memory));
    SUCCESS
}
unsafe extern "C" fn free(device: u64) -> i32 {
    if HEAP.with_borrow_mut(|heap| heap.remove(&device)).is_some() { SUCCESS } else { INVALID_VALUE }
}
unsafe extern "C" fn to_device(device: u64, from: *const c_void, bytes: usize, _: Ptr) -> i32 {
    let copy =
        |to: &mut [f32]| unsafe { std::ptr::copy_nonoverlapping(from.cast(), to.as_mut_ptr().cast::<u8>(), bytes) };
    with_memory(device, bytes, copy).map_or(INVALID_VALUE, |()| SUCCESS)
}
unsafe extern "C" fn to_host(to: Ptr, device: u64, bytes: usize, _: Ptr) -> i32 {
    let copy =
        |from: &mut [f32]| unsafe { std::ptr::copy_nonoverlapping(from.as_ptr().cast::<u8>(), to.cast(), bytes) };
    with_memory(device, bytes, copy).map_or(INVALID_VALUE, |()| SUCCESS)
}
unsafe extern "C" fn new_stream(out: *mut Ptr, _: u32) -> i32 {
    unsafe { *out = STREAM as Ptr };
    SUCCESS
}
unsafe extern "C" fn stream(_: Ptr) -> i32 {
    SUCCESS
}
unsafe extern "C" fn load_module(out: *mut Ptr, text: *const c_void) -> i32 {
    let text = unsafe { CStr::from_ptr(text.cast()) }.to_string_lossy();
    unsafe { *out = 0x3d as Ptr };
    if text.contains(".visible .entry roi_align(") { SUCCESS } else { INVALID_VALUE }
}
unsafe extern "C" fn function(out: *mut Ptr, module: Ptr, name: *const c_char) -> i32 {
    unsafe { *out = 0x4e as Ptr };
    if module as usize == 0x3d && unsafe { CStr::from_ptr(name) } == c"roi_align" { SUCCESS } else { INVALID_VALUE }
}
#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn launch(
    kernel: Ptr,
    grid_x: u32,
    grid_y: u32,
    grid_z: u32,
    block_x: u32,
    block_y: u32,
    block_z: u32,
    shared: u32,
    _stream: Ptr,
    arguments: *mut *const c_void,
    _: *mut Ptr,
) -> i32 {
    let list = unsafe { std::slice::from_raw_parts(arguments, 6) };
    let number = |place: usize| unsafe { *list[place].cast::<i32>() };
    let address = |place: usize| unsafe { *list[place].cast::<u64>() };
    let (count, channels, side, samples) = (number(1), number(2), number(3), number(4));
    assert_eq!((kernel as usize, grid_z, block_z, shared), (0x4e, 1, 1, 0));
    assert_eq!((grid_y, block_x, block_y as i32), ((channels as u32).div_ceil(32), 32, side));
    let (rois, padded, out) = (address(0) as *const Roi, grid_x as i32, address(5) as *mut f32);
    assert!(HEAP.with_borrow(|heap| heap[&address(5)].len() >= (padded * side * side * channels) as usize));
    unsafe { vetrina_roi_align_on_the_cpu(rois, count, padded, channels, side, samples, out) };
    SUCCESS
}

fn driver() -> Driver {
    Driver {
        init: nothing,
        error_name: no_name,
        version,
        device,
        name,
        attribute,
        retain,
        make_current,
        alloc,
        free,
        to_device,
        to_host,
        new_stream,
        free_stream: stream,
        synchronize: stream,
        load_module,
        function,
        launch,
    }
}

/// A simulated engine: its tensors, not in the graph's order, and its computation.
struct Function {
    tensors: &'static [(&'static CStr, bool, &'static [usize])],
    compute: fn(&mut Addresses),
}

struct Addresses {
    function: &'static Function,
    of: Vec<u64>,
    /// Size of the dynamic dimension, if set.
    rows: Option<usize>,
}

impl Addresses {
    fn values(&self, name: &CStr) -> Vec<f32> {
        let (place, length) = self.place(name);
        with_memory(self.of[place], 4 * length, |values| values.to_vec()).unwrap()
    }

    fn write(&mut self, name: &CStr, values: impl Fn(usize) -> f32) {
        let (place, length) = self.place(name);
        let fill = |to: &mut [f32]| to.iter_mut().enumerate().for_each(|(at, to)| *to = values(at));
        with_memory(self.of[place], 4 * length, fill).unwrap();
    }

    fn place(&self, name: &CStr) -> (usize, usize) {
        let place = self.function.tensors.iter().position(|(known, _, _)| *known == name).unwrap();
        (place, self.shape(place).into_iter().product::<i64>() as usize)
    }

    /// -1: not known yet.
    fn shape(&self, place: usize) -> Vec<i64> {
        let open = self.rows.map_or(-1, |rows| rows as i64);
        self.function.tensors[place].2.iter().map(|&size| if size == 0 { open } else { size as i64 }).collect()
    }
}

/// Value of a feature map.
fn feature(picture: f32, level: usize, at: usize) -> f32 {
    picture + level as f32 + (at * at % 89) as f32 / 89.0
}

static TRUNK: Function = Function {
    tensors: &[
        (c"objectness", false, &[1, 3, 2, 2]),
        (c"p4", false, &[1, CHANNELS, 8, 12]),
        (c"image", true, &[1, 1, 1, 2]),
        (c"p3", false, &[1, CHANNELS, 16, 24]),
    ],
    compute: |at| {
        let picture = at.values(c"image")[0];
        at.write(c"p3", |place| feature(picture, 0, place));
        at.write(c"p4", |place| feature(picture, 1, place));
        at.write(c"objectness", |place| picture * place as f32);
    },
};

/// Returns its input.
static HEAD: Function = Function {
    tensors: &[(c"same", false, &ROIS), (c"rois", true, &ROIS)],
    compute: |at| {
        let rois = at.values(c"rois");
        at.write(c"same", |place| rois[place]);
    },
};

static OPEN_HEAD: Function =
    Function { tensors: &[(c"rois", true, &OPEN_ROIS), (c"same", false, &OPEN_ROIS)], compute: HEAD.compute };

unsafe extern "C" fn build(_: *const Factories, _: *const c_void, _: usize, _: *const BuildOptions) -> Ptr {
    null_mut()
}
unsafe extern "C" fn blob_data(_: Ptr, _: *mut usize) -> *const c_void {
    null()
}
unsafe extern "C" fn drop_nothing(_: Ptr) {}
unsafe extern "C" fn load(_: *const Factories, engine: *const c_void, size: usize) -> Ptr {
    let name = unsafe { std::slice::from_raw_parts(engine.cast::<u8>(), size) };
    let function: &'static Function = match name {
        b"trunk" => &TRUNK,
        b"head" => &HEAD,
        _ => &OPEN_HEAD,
    };
    std::ptr::from_ref(function).cast_mut().cast()
}
unsafe fn function_of(plan: Ptr) -> &'static Function {
    unsafe { &*plan.cast::<Function>() }
}
unsafe extern "C" fn tensor_count(plan: Ptr) -> i32 {
    unsafe { function_of(plan) }.tensors.len() as i32
}
unsafe extern "C" fn tensor_info(plan: Ptr, index: i32, info: *mut RawInfo) {
    let (name, input, shape) = unsafe { function_of(plan) }.tensors[index as usize];
    let open = i32::from(shape[0] == 0);
    unsafe { *info = RawInfo { name: name.as_ptr(), input: input.into(), is_float: 1, open } };
}
unsafe extern "C" fn new_context(plan: Ptr) -> Ptr {
    let function = unsafe { function_of(plan) };
    Box::into_raw(Box::new(Addresses { function, of: vec![0; function.tensors.len()], rows: None })).cast()
}
unsafe extern "C" fn free_context(context: Ptr) {
    drop(unsafe { Box::from_raw(context.cast::<Addresses>()) });
}
unsafe fn place_of(context: Ptr, name: *const c_char) -> (&'static mut Addresses, usize) {
    let at = unsafe { &mut *context.cast::<Addresses>() };
    let place = at.place(unsafe { CStr::from_ptr(name) }).0;
    (at, place)
}
unsafe extern "C" fn set_input_shape(context: Ptr, name: *const c_char, sizes: *const i64, rank: i32) -> i32 {
    let sizes = unsafe { std::slice::from_raw_parts(sizes, rank as usize) };
    let (at, place) = unsafe { place_of(context, name) };
    if at.function.tensors[place].2[0] == 0 {
        at.rows = Some(sizes[0] as usize);
    }
    (at.shape(place) == sizes).into()
}
unsafe extern "C" fn tensor_shape(context: Ptr, name: *const c_char, sizes: *mut i64) -> i32 {
    let (at, place) = unsafe { place_of(context, name) };
    let shape = at.shape(place);
    for (axis, size) in shape.iter().enumerate() {
        unsafe { *sizes.add(axis) = *size };
    }
    shape.len() as i32
}
unsafe extern "C" fn set_address(context: Ptr, name: *const c_char, device: u64) -> i32 {
    let (at, place) = unsafe { place_of(context, name) };
    at.of[place] = device;
    1
}
unsafe extern "C" fn enqueue(context: Ptr, stream: Ptr) -> i32 {
    assert_eq!(stream as usize, STREAM);
    let at = unsafe { &mut *context.cast::<Addresses>() };
    (at.function.compute)(at);
    1
}
unsafe extern "C" fn no_factory(_: Ptr, _: i32) -> Ptr {
    null_mut()
}

static SHIM: Shim = Shim {
    build,
    blob_data,
    free_blob: drop_nothing,
    load,
    unload: drop_nothing,
    tensor_count,
    tensor_info,
    new_context,
    free_context,
    set_input_shape,
    tensor_shape,
    set_address,
    enqueue,
};

fn tensorrt() -> TensorRt {
    let gpu = Gpu::with(driver()).unwrap();
    assert_eq!(
        (gpu.name.as_str(), gpu.driver_version.as_str()),
        ("M, compute capability 8.8, 8 multiprocessors", "12.6")
    );
    let make = Factories { version: 1, builder: None, runtime: Some(no_factory), parser: None, log: log_hook };
    let library = Nvinfer { shim: &SHIM, make, version: "1".into(), rtx: false };
    TensorRt { library: Arc::new(library), gpu: Some(gpu) }
}

fn engine(tensorrt: &TensorRt, name: &str, outputs: &[&str]) -> Box<dyn Engine> {
    let outputs: Vec<String> = outputs.iter().map(|output| (*output).to_owned()).collect();
    tensorrt.load(name.as_bytes(), &outputs).unwrap()
}

fn trunk(tensorrt: &TensorRt) -> Box<dyn Engine> {
    engine(tensorrt, "trunk", &["p3", "p4", "objectness"])
}

fn image(picture: f32) -> Tensor {
    Tensor::new([1, 1, 1, 2], vec![picture, 0.0])
}

fn maps(trunk: &mut dyn Engine, picture: f32) -> Maps {
    let (maps, rest) = trunk.run_trunk(image(picture), 2).unwrap();
    assert!(rest.len() == 1 && rest[0].data()[3] == 3.0 * picture);
    assert_eq!(maps.shapes(), [[1, CHANNELS, 16, 24], [1, CHANNELS, 8, 12]]);
    match maps {
        FeatureMaps::Device(maps) => maps,
        FeatureMaps::Host(_) => panic!("the maps left the GPU"),
    }
}

/// Runs the head on RoIs of `maps`, computed from `picture`, and checks its input: the CPU's RoIAlign, then zeros up to
/// `rows`.
fn hold(head: &mut dyn Engine, rows: usize, maps: &Maps, picture: f32, boxes: &[Rect<Network>]) {
    let settings = RoiSettings { canonical_size: 60.0, canonical_level: 4, sampling_ratio: 2 };
    let features = FeatureSettings { channels: CHANNELS, levels: vec![3, 4] };
    let map = |level: usize, [height, width]: [usize; 2]| {
        let values = (0..CHANNELS * height * width).map(|at| feature(picture, level, at)).collect();
        Tensor::new([1, CHANNELS, height, width], values)
    };
    let grids = [[16, 24], [8, 12]];
    let pyramid =
        Pyramid::new([map(0, grids[0]), map(1, grids[1])].iter().map(FeatureMap::from).collect(), &features, INPUT);
    let wanted = pyramid.roi_align(boxes, ROIS[1], &settings);
    let times = &mut StageTimes::default();
    let features = Features::new(FeatureMaps::Device(maps.clone()), &features, INPUT);
    let of = RoiHead { name: "head", rois: "rois", side: ROIS[1] };
    let found = features.run_head(&of, head, boxes, &settings, times).unwrap().remove(0);
    assert_eq!(times.summaries().len(), 1, "RoIAlign has no time of its own");
    assert_eq!(found.shape(), [rows, ROIS[1], ROIS[2], CHANNELS]);
    let padded = wanted.data().iter().copied().chain(std::iter::repeat(0.0));
    let differs = found.data().iter().zip(padded).filter(|(a, b)| (*a - b).abs() > 1e-4).count();
    assert_eq!(differs, 0, "of {} values", found.data().len());
}

#[test]
fn heads_read_the_maps_that_the_trunk_left_on_the_gpu() {
    let tensorrt = tensorrt();
    let (mut trunk, mut head) = (trunk(&tensorrt), engine(&tensorrt, "head", &["same"]));
    // A second picture must not overwrite the maps of the first while they are held.
    let (first, second) = (maps(trunk.as_mut(), 1.0), maps(trunk.as_mut(), -2.0));
    let (near, far) = (Rect::new(10.0, 5.0, 150.0, 120.0), Rect::new(100.0, 90.0, 190.0, 127.0));
    hold(head.as_mut(), 3, &second, -2.0, &[near, far, near]);
    hold(head.as_mut(), 3, &first, 1.0, &[far]);
    hold(head.as_mut(), 3, &first, 1.0, &[]);
    assert!(
        head.run_head(&first, &[RoiGrid { level: 0, x: 0.0, y: 0.0, bin_width: 1.0, bin_height: 1.0 }; 4], 2).is_err()
    );
}

#[test]
fn a_head_with_a_dynamic_batch_gets_exactly_the_given_rois() {
    let tensorrt = tensorrt();
    let (mut trunk, mut head) = (trunk(&tensorrt), engine(&tensorrt, "open head", &["same"]));
    let maps = maps(trunk.as_mut(), 1.0);
    let bounds = Rect::new(10.0, 5.0, 150.0, 120.0);
    for count in [2, 5, 1] {
        hold(head.as_mut(), count, &maps, 1.0, &vec![bounds; count]);
    }
    // Without RoIs the batch is one row of zeros: TensorRT cannot run an empty batch.
    hold(head.as_mut(), 1, &maps, 1.0, &[]);
    assert_eq!(head.run(vec![Tensor::zeros([4, 7, 7, CHANNELS])]).unwrap()[0].shape(), [4, 7, 7, CHANNELS]);
}

#[test]
fn frames_allocate_nothing_and_everything_is_freed_on_drop() {
    let tensorrt = tensorrt();
    let (mut trunk, mut head) = (trunk(&tensorrt), engine(&tensorrt, "head", &["same"]));
    let bounds = Rect::new(10.0, 5.0, 150.0, 120.0);
    let mut frame = |picture: f32| {
        let (first, second) = (maps(trunk.as_mut(), picture), maps(trunk.as_mut(), picture + 1.0));
        hold(head.as_mut(), 3, &first, picture, &[bounds]);
        hold(head.as_mut(), 3, &second, picture + 1.0, &[bounds, bounds]);
    };
    frame(0.0);
    frame(1.0);
    let before = ALLOCATIONS.get();
    (2..6).for_each(|picture| frame(picture as f32));
    assert_eq!(ALLOCATIONS.get(), before);
    drop((trunk, head, tensorrt));
    assert_eq!(HEAP.with_borrow(BTreeMap::len), 0);
}

#[test]
fn outputs_are_in_graph_order_and_copies_share_only_the_engine() {
    let tensorrt = tensorrt();
    let mut trunk = trunk(&tensorrt);
    let mut other = trunk.share();
    let held = maps(other.as_mut(), 5.0);
    let outputs = trunk.run(vec![image(3.0)]).unwrap();
    let firsts: Vec<f32> = outputs.iter().map(|output| output.data()[1]).collect();
    assert_eq!(firsts, [feature(3.0, 0, 1), feature(3.0, 1, 1), 3.0]);
    hold(engine(&tensorrt, "head", &["same"]).as_mut(), 3, &held, 5.0, &[Rect::new(0.0, 0.0, 50.0, 60.0)]);
    assert!(trunk.run(vec![Tensor::zeros([1, 1, 2, 2])]).is_err());
    assert!(tensorrt.load(b"trunk", &["p9".into()]).is_err());
}

#[test]
fn the_startup_check_launches_the_kernel_with_correct_arguments() {
    let tensorrt = tensorrt();
    let gpu = tensorrt.gpu.as_ref().unwrap();
    roi_align::check(|maps, grids, samples, shape| gpu.roi_align(maps, grids, samples, shape)).unwrap();
    let map = Tensor::zeros([1, 2, 3, 4]);
    assert!(gpu.roi_align(&[map], &[], 2, &[1, 7, 7]).is_err());
    drop(tensorrt);
    assert_eq!(HEAP.with_borrow(BTreeMap::len), 0);
}
