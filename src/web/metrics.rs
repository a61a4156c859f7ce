//! The status as Prometheus reads it: base units, counters that end in `_total`.

use crate::live::Report;
use crate::metrics::{BOUNDS, Histogram};
use std::fmt::{Display, Write};

/// The whole text. `resident` in bytes where the system tells.
pub fn text(report: &Report, resident: Option<u64>) -> String {
    let mut text = String::new();
    for (name, value) in &report.counters {
        metric(&mut text, &format!("{name}_total"), "counter", value);
    }
    metric(&mut text, "up", "gauge", u8::from(report.is_well()));
    metric(&mut text, "uptime_seconds", "gauge", report.uptime_seconds);
    metric(&mut text, "recognised_frames_per_second", "gauge", report.frames_per_second.unwrap_or(0.0));
    metric(&mut text, "catalogue_products", "gauge", report.products);
    metric(&mut text, "frames_in_work", "gauge", report.in_work);
    metric(&mut text, "screen_dark", "gauge", u8::from(report.screen_dark));
    metric(&mut text, "throttle_level", "gauge", report.throttle_level);
    metric(&mut text, "garments", "gauge", report.garments);
    if let Some(age) = report.last_present_age_seconds {
        metric(&mut text, "last_present_age_seconds", "gauge", age);
    }
    if let Some(bytes) = resident {
        metric(&mut text, "resident_memory_bytes", "gauge", bytes);
    }
    if let Some(degrees) = report.temperature_celsius {
        metric(&mut text, "temperature_celsius", "gauge", degrees);
    }
    line(&mut text, "# TYPE vetrina_stage_seconds histogram");
    for (stage, histogram) in &report.stages {
        stage_lines(&mut text, stage, histogram);
    }
    text
}

fn line(text: &mut String, line: impl Display) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

fn metric(text: &mut String, name: &str, kind: &str, value: impl Display) {
    line(text, format_args!("# TYPE vetrina_{name} {kind}\nvetrina_{name} {value}"));
}

fn stage_lines(text: &mut String, stage: &str, histogram: &Histogram) {
    let mut count = 0;
    for (bound, bucket) in BOUNDS.iter().zip(&histogram.counts) {
        count += bucket;
        line(text, format_args!("vetrina_stage_seconds_bucket{{stage=\"{stage}\",le=\"{bound}\"}} {count}"));
    }
    let all = histogram.count();
    line(text, format_args!("vetrina_stage_seconds_bucket{{stage=\"{stage}\",le=\"+Inf\"}} {all}"));
    line(text, format_args!("vetrina_stage_seconds_sum{{stage=\"{stage}\"}} {}", histogram.sum.as_secs_f64()));
    line(text, format_args!("vetrina_stage_seconds_count{{stage=\"{stage}\"}} {all}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_histogram_counts_up() {
        let mut histogram = Histogram::default();
        histogram.add(Duration::from_millis(2));
        histogram.add(Duration::from_secs(60));
        let mut text = String::new();
        stage_lines(&mut text, "trunk", &histogram);
        for line in [
            "vetrina_stage_seconds_bucket{stage=\"trunk\",le=\"0.001\"} 0",
            "vetrina_stage_seconds_bucket{stage=\"trunk\",le=\"0.0025\"} 1",
            "vetrina_stage_seconds_bucket{stage=\"trunk\",le=\"10\"} 1",
            "vetrina_stage_seconds_bucket{stage=\"trunk\",le=\"+Inf\"} 2",
            "vetrina_stage_seconds_sum{stage=\"trunk\"} 60.002",
            "vetrina_stage_seconds_count{stage=\"trunk\"} 2",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in {text}");
        }
    }
}
