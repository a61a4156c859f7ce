//! A text with fields of an event in it: `{"text": "{{product}} in {{region}}"}`. Pure.

use crate::clock::UtcTime;
use crate::live::events::{EventKind, Happening, ShopperEvent};
use crate::seam::Region;
use serde_json::Value;

/// The fields that an event may have.
const FIELDS: [&str; 10] =
    ["number", "time", "event", "person", "seconds", "garment", "region", "product", "score", "likely"];

/// The text for an event. A field that this event has not is empty; what stands in a field is escaped as in a JSON string.
pub fn fill(template: &str, event: &ShopperEvent) -> String {
    let value = serde_json::to_value(event).unwrap_or(Value::Null);
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, left)) = after.split_once("}}") else { break };
        text += before;
        text += &field(&value, name.trim());
        rest = left;
    }
    text + rest
}

fn field(event: &Value, name: &str) -> String {
    match event.get(name) {
        None | Some(Value::Null) => String::new(),
        // As a JSON string, without its quotation marks.
        Some(text @ Value::String(_)) => {
            let quoted = text.to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
        Some(other) => other.to_string(),
    }
}

/// The fault of a template for events of these kinds, if it has one.
pub fn wrong(template: &str, kinds: &[EventKind]) -> Option<String> {
    for part in template.split("{{").skip(1) {
        let Some((name, _)) = part.split_once("}}") else {
            return Some("a field begins with {{ and does not end: write }} after its name".into());
        };
        if !FIELDS.contains(&name.trim()) {
            return Some(format!("there is no field {{{{{}}}}}: there are {}", name.trim(), FIELDS.join(", ")));
        }
    }
    if !is_json(template) {
        return None;
    }
    kinds.iter().find_map(|kind| {
        let error = serde_json::from_str::<Value>(&fill(template, &example(*kind))).err()?;
        Some(format!(
            "it is no JSON for {}: {error}; put fields that an event may lack in quotation marks",
            kind.name()
        ))
    })
}

/// Whether the template makes JSON.
pub fn is_json(template: &str) -> bool {
    template.trim_start().starts_with(['{', '[']) && !template.trim_start().starts_with("{{")
}

/// An event of this kind.
fn example(kind: EventKind) -> ShopperEvent {
    let (person, garment, region, product) = (1, "1-2".to_owned(), Some(Region::Upper), "A".to_owned());
    let what = match kind {
        EventKind::PersonCame => Happening::PersonCame { person },
        EventKind::PersonLeft => Happening::PersonLeft { person, seconds: 1.0 },
        EventKind::GarmentMatched => {
            Happening::GarmentMatched { person, garment, region, product, score: 0.5, likely: true }
        }
        EventKind::GarmentRefused => Happening::GarmentRefused { person, garment, region },
        EventKind::ProductShown => Happening::ProductShown { person, garment, region, product, score: 0.5 },
        EventKind::StaffCalled => Happening::StaffCalled,
    };
    ShopperEvent { number: 1, time: UtcTime::default(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_filled_in_and_escaped() {
        let mut event = example(EventKind::GarmentMatched);
        if let Happening::GarmentMatched { product, .. } = &mut event.what {
            *product = "\"A\" B\n\\\"".into();
        }
        let text = fill("{\"text\": \"{{ product }} ({{region}})\", \"s\": {{score}}}", &event);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((value["text"].as_str(), value["s"].as_f64()), (Some("\"A\" B\n\\\" (upper)"), Some(0.5)));
        assert_eq!(fill("{{product}}|{{event}}|{{", &example(EventKind::StaffCalled)), "|staff_called|{{");
    }

    #[test]
    fn a_template_that_cannot_work_is_told_before_it_is_used() {
        let all = EventKind::ALL;
        assert_eq!(wrong("{\"text\": \"{{event}} {{product}}\"}", &all), None);
        assert_eq!(wrong("{{event}} at {{time}}", &all), None);
        assert!(wrong("{{evnt}}", &all).unwrap().contains("{{evnt}}"));
        assert!(wrong("{{event", &all).unwrap().contains("}}"));
        let score = "{\"score\": {{score}}}";
        assert_eq!(wrong(score, &[EventKind::GarmentMatched]), None);
        assert!(wrong(score, &all).unwrap().contains("person_came"));
    }
}
