//! The status in Prometheus's text format: base units, counters that end in `_total`.

use crate::live::Report;
use crate::metrics::{BOUNDS, Histogram};
use std::fmt::{Display, Write};

/// Names without the prefix, and their `HELP` lines.
const HELP: &[(&str, &str)] = &[
    ("answers_total", "Queries that the catalogue has answered."),
    ("camera_reconnects_total", "Times that the camera was lost and opened again."),
    ("catalogue_checks_total", "Looks at the catalogue's file for changes."),
    ("catalogue_age_seconds", "Age of the hub's release that is searched."),
    ("catalogue_products", "Products in the catalogue that is searched."),
    ("events_lost_total", "Events that a slow reader did not take in time."),
    ("events_total", "Events of shoppers: people, garments, products, calls."),
    ("catalogue_release", "Number of the hub's release that is searched."),
    ("frames_corrupt_total", "Frames of the camera that could not be decoded."),
    ("frames_in_work", "Frames that are being recognized."),
    ("frames_not_shown_total", "Camera frames that a newer one displaced before they were drawn."),
    ("frames_recognised_total", "Camera frames that were recognized."),
    ("frames_skipped_total", "Camera frames that a newer one displaced before they were recognized."),
    ("frames_total", "Frames from the camera."),
    ("garments", "Garments that are tracked and shown."),
    ("last_present_age_seconds", "Time since the screen was last drawn."),
    ("mqtt_messages_total", "Messages handed to the MQTT broker."),
    ("queries_skipped_total", "Queries that newer ones displaced before the catalogue was asked."),
    ("queries_total", "Full windows that asked the catalogue."),
    ("recognised_frames_per_second", "Recognized frames per second, over the last frames."),
    ("recognition_faults_total", "Frames on which the network failed."),
    ("reloads_total", "Configurations and catalogues that were reloaded."),
    ("resident_memory_bytes", "Memory that the process holds."),
    ("screen_dark", "1 while the screen is dark."),
    ("screens_presented_total", "Pictures presented on the screen."),
    ("stage_restarts_total", "Stages that were restarted after a fault."),
    ("stage_seconds", "Time that each step of a frame takes, by step."),
    ("temperature_celsius", "Temperature of the hottest sensor of the board."),
    ("throttle_level", "Each level halves the share of frames that are recognized; 0 is all."),
    ("throttled_by_heat_total", "Steps by which recognition was throttled because of heat."),
    ("throttled_by_power_total", "Steps by which recognition was throttled because of the power supply."),
    ("up", "1 while the mirror runs without a fault."),
    ("uptime_seconds", "Time since the program's start."),
    ("web_connections", "Connections to the page."),
    ("web_connections_refused_total", "Connections to the page that were refused: too many were open."),
    ("webhook_deliveries_total", "Events that the webhook's receiver took."),
    ("webhook_failures_total", "Tries to deliver an event to the webhook that failed."),
];

/// Values that are not in the report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// Bytes, where the system reports it.
    pub resident_memory: Option<u64>,
    pub connections: usize,
    pub refused: u64,
    /// Of the hub's release that is searched, where one is followed: number, and age in seconds.
    pub release: Option<(u64, u64)>,
}

/// The whole text.
pub fn text(report: &Report, around: Surroundings) -> String {
    let mut text = String::new();
    for (name, value) in &report.counters {
        metric(&mut text, &format!("{name}_total"), "counter", value);
    }
    metric(&mut text, "web_connections_refused_total", "counter", around.refused);
    metric(&mut text, "web_connections", "gauge", around.connections);
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
    if let Some(bytes) = around.resident_memory {
        metric(&mut text, "resident_memory_bytes", "gauge", bytes);
    }
    if let Some(degrees) = report.temperature_celsius {
        metric(&mut text, "temperature_celsius", "gauge", degrees);
    }
    if let Some((number, age)) = around.release {
        metric(&mut text, "catalogue_release", "gauge", number);
        metric(&mut text, "catalogue_age_seconds", "gauge", age);
    }
    head(&mut text, "stage_seconds", "histogram");
    for (stage, histogram) in &report.stages {
        stage_lines(&mut text, stage, histogram);
    }
    text
}

fn line(text: &mut String, line: impl Display) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

fn head(text: &mut String, name: &str, kind: &str) {
    if let Some((_, help)) = HELP.iter().find(|(known, _)| *known == name) {
        line(text, format_args!("# HELP vetrina_{name} {help}"));
    }
    line(text, format_args!("# TYPE vetrina_{name} {kind}"));
}

fn metric(text: &mut String, name: &str, kind: &str, value: impl Display) {
    head(text, name, kind);
    line(text, format_args!("vetrina_{name} {value}"));
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
