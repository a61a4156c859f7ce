//! Selects the instruction set for an operator.

use fearless_simd::{Level, Simd};

/// Evaluates `$wide` on AVX-512 (32 registers of a whole block), `$narrow` on AVX2, NEON or the baseline (SSE2 on
/// x86-64).
macro_rules! wide_or_narrow {
    ($level:expr, $simd:ident => $wide:expr, $narrow:expr) => {{
        let level: $crate::Level = $level;
        #[cfg(target_arch = "x86_64")]
        {
            use fearless_simd::Simd;
            if let Some($simd) = level.as_avx512() {
                $simd.vectorize(
                    #[inline(always)]
                    || $wide,
                )
            } else if let Some($simd) = level.as_avx2() {
                $simd.vectorize(
                    #[inline(always)]
                    || $narrow,
                )
            } else if let Some($simd) = level.as_sse2() {
                $simd.vectorize(
                    #[inline(always)]
                    || $narrow,
                )
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        fearless_simd::dispatch!(level, $simd => $narrow)
    }};
}

/// Compiles the same code for every instruction set.
macro_rules! on {
    ($level:expr, $simd:ident => $body:expr) => {
        $crate::dispatch::wide_or_narrow!($level, $simd => $body, $body)
    };
}

pub(crate) use {on, wide_or_narrow};

/// Whether tiles may use 32 registers of a whole block (AVX-512).
pub(crate) fn is_wide(level: Level) -> bool {
    #[cfg(target_arch = "x86_64")]
    return level.as_avx512().is_some();
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = level;
        false
    }
}

/// The instruction sets that this machine supports, best first, with their names.
pub fn levels() -> Vec<(&'static str, Level)> {
    let best = Level::new();
    #[cfg(target_arch = "x86_64")]
    {
        let wide = best.as_avx512().map(|_| ("AVX-512", best));
        let narrow = best.as_avx2().map(|token| ("AVX2", token.level()));
        let base = best.as_sse2().map(|token| ("SSE2", token.level()));
        [wide, narrow, base].into_iter().flatten().collect()
    }
    #[cfg(target_arch = "aarch64")]
    return vec![("NEON", best)];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return vec![("baseline", best)];
}
