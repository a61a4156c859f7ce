//! The messages by which Home Assistant finds the mirror (MQTT discovery): topics and payloads, to be retained. Pure.

use super::{MqttSettings, topic};
use serde_json::{Value, json};

/// Where Home Assistant looks.
const PREFIX: &str = "homeassistant";

/// Topic and payload of each.
pub(super) fn messages(settings: &MqttSettings) -> Vec<(String, String)> {
    let entities = [
        (
            "binary_sensor",
            "person",
            json!({ "name": "Person", "state_topic": topic(settings, "person"), "device_class": "occupancy" }),
        ),
        (
            "sensor",
            "product",
            json!({ "name": "Last matched product", "state_topic": topic(settings, "product"), "icon": "mdi:tshirt-crew" }),
        ),
        (
            "event",
            "call",
            json!({
                "name": "Call for staff", "state_topic": topic(settings, "call"),
                "event_types": ["staff_called"], "device_class": "button",
            }),
        ),
    ];
    let message = |(component, object, entity): (&str, &str, Value)| {
        let node = format!("vetrina_{}", settings.id);
        let mut config = entity;
        config["unique_id"] = format!("{node}_{object}").into();
        config["availability_topic"] = topic(settings, "availability").into();
        let software = env!("CARGO_PKG_VERSION");
        config["device"] = json!({
            "identifiers": [&node], "name": format!("{} mirror {}", settings.name, settings.id),
            "manufacturer": "vetrina", "model": "in-store mirror", "sw_version": software,
        });
        config["origin"] = json!({ "name": "vetrina", "sw_version": software });
        (format!("{PREFIX}/{component}/{node}/{object}/config"), config.to_string())
    };
    entities.into_iter().map(message).collect()
}
