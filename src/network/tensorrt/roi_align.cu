// RoIAlign on the GPU, equal to seam/roi_align.rs on the CPU: feature maps stay on the device.
//
// Two compilers read this file. NVIDIA's compiles it to roi_align.ptx (scripts/compile-kernel), which the driver compiles for
// its GPU. A C++ compiler compiles the same arithmetic for the CPU; a test compares it with seam/roi_align.rs.

#ifdef __CUDACC__
#define ON_GPU __device__
#define ROLLED _Pragma("unroll 1")
#else
#include <cmath>
#include <cstddef>
#define ON_GPU
#define ROLLED
#endif

// Must match roi_align.rs. The numbers are not trusted: no address outside `map` is read, whatever they are.
struct Roi {
    float const* map; // channels x height x width
    int height, width;
    float x, y;                  // upper left corner in pixels of the map
    float bin_width, bin_height; // in pixels of the map
};

// Bilinear sample. Zero if more than one pixel outside the map.
static ON_GPU float sample(float const* plane, int height, int width, float y, float x) {
    if (y < -1.0f || y > height || x < -1.0f || x > width) {
        return 0.0f;
    }
    y = fmaxf(y, 0.0f);
    x = fmaxf(x, 0.0f);
    int const top = y < height - 1 ? static_cast<int>(y) : height - 1;
    int const left = x < width - 1 ? static_cast<int>(x) : width - 1;
    int const down = top + 1 < height ? width : 0;
    int const right = left + 1 < width ? 1 : 0;
    float const dy = down != 0 ? y - top : 0.0f;
    float const dx = right != 0 ? x - left : 0.0f;
    float const* at = plane + top * width + left;
    float const above = at[0] + dx * (at[right] - at[0]);
    float const below = at[down] + dx * (at[down + right] - at[down]);
    return above + dy * (below - above);
}

// Computes one row of bins of one channel. `out` is side x side x channels.
static ON_GPU void align_row(Roi const& roi, int channels, int channel, int side, int row, int samples, float* out) {
    float const* plane = roi.map + static_cast<size_t>(channel) * roi.height * roi.width;
    float const step_y = roi.bin_height / samples;
    float const step_x = roi.bin_width / samples;
    ROLLED
    for (int column = 0; column < side; ++column) {
        float sum = 0.0f;
        ROLLED
        for (int i = 0; i < samples; ++i) {
            float const y = roi.y + row * roi.bin_height + (i + 0.5f) * step_y;
            ROLLED
            for (int k = 0; k < samples; ++k) {
                float const x = roi.x + column * roi.bin_width + (k + 0.5f) * step_x;
                sum += sample(plane, roi.height, roi.width, y, x);
            }
        }
        out[(row * side + column) * channels + channel] = sum / (samples * samples);
    }
}

// RoI, channel and row of one thread. RoIs from `count` on are padding and zero. `out`: RoIs x side x side x channels.
static ON_GPU void align(
    Roi const* rois, int count, int roi, int channels, int channel, int side, int row, int samples, float* out) {
    out += static_cast<size_t>(roi) * side * side * channels;
    if (roi < count) {
        align_row(rois[roi], channels, channel, side, row, samples, out);
        return;
    }
    ROLLED
    for (int column = 0; column < side; ++column) {
        out[(row * side + column) * channels + channel] = 0.0f;
    }
}

#ifdef __CUDACC__

// A block is 32 channels wide, so that a warp writes contiguous memory, and `side` rows high: it reads one RoI's pixels
// repeatedly from the L1 cache. Grid: RoIs including padding x groups of 32 channels.
extern "C" __global__ void roi_align(Roi const* rois, int count, int channels, int side, int samples, float* out) {
    int const channel = blockIdx.y * 32 + threadIdx.x;
    if (channel < channels) {
        align(rois, count, blockIdx.x, channels, channel, side, threadIdx.y, samples, out);
    }
}

#else

extern "C" void vetrina_roi_align_on_the_cpu(
    Roi const* rois, int count, int padded, int channels, int side, int samples, float* out) {
    for (int roi = 0; roi < padded; ++roi) {
        for (int channel = 0; channel < channels; ++channel) {
            for (int row = 0; row < side; ++row) {
                align(rois, count, roi, channels, channel, side, row, samples, out);
            }
        }
    }
}

#endif
