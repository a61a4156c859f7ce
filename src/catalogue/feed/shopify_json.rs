//! Shopify's products as a shop (`/products.json`) and the Admin API give them: objects that hold their variants and pictures. They
//! become rows with the columns of Shopify's CSV, which `shopify` reads.

use super::table::{FeedRecord, FeedTable};
use serde_json::{Map, Value};

/// What the option of a product without variants is called.
const ONLY_VARIANT: &str = "Default Title";

/// Whether a JSON object is such a product.
pub fn is_one(product: &Map<String, Value>) -> bool {
    product.contains_key("handle") && product.get("variants").is_some_and(|variants| objects(variants).next().is_some())
}

/// A row for each variant. The first has the product's texts and pictures.
pub fn add_rows(product: &Map<String, Value>, line: u64, table: &mut FeedTable) {
    for (place, variant) in product.get("variants").map(objects).into_iter().flatten().enumerate() {
        let mut record = FeedRecord { line, ..FeedRecord::default() };
        let mut add = |name: &str, value: Option<String>| {
            let column = table.column(name);
            record.values.extend(value.filter(|value| !value.trim().is_empty()).map(|value| (column, value)));
        };
        add("Handle", text(product, "handle"));
        if place == 0 {
            product_texts(product).for_each(|(name, value)| add(name, value));
            images(product).for_each(|image| add("Image Src", text(image, "src")));
        }
        for (name, member) in VARIANT_MEMBERS {
            add(name, text(variant, member));
        }
        add("Option1 Value", text(variant, "option1").or_else(|| Some(ONLY_VARIANT.to_owned())));
        add("Variant Image", variant_image(product, variant));
        table.records.push(record);
    }
}

/// Columns of Shopify's CSV by the member of a variant. Its stock is a number or, from the shop itself, yes or no.
const VARIANT_MEMBERS: [(&str, &str); 9] = [
    ("Option2 Value", "option2"),
    ("Option3 Value", "option3"),
    ("Variant SKU", "sku"),
    ("Variant Barcode", "barcode"),
    ("Variant Price", "price"),
    ("Variant Compare At Price", "compare_at_price"),
    ("Variant Inventory Qty", "inventory_quantity"),
    ("Variant Inventory Policy", "inventory_policy"),
    ("Variant Available", "available"),
];

fn product_texts(product: &Map<String, Value>) -> impl Iterator<Item = (&'static str, Option<String>)> {
    let options = product.get("options").map(objects).into_iter().flatten();
    let names = ["Option1 Name", "Option2 Name", "Option3 Name"].into_iter();
    let options = names.zip(options.map(|option| text(option, "name")));
    // The Admin API writes null for what the shop does not show.
    let is_hidden = product.get("published_at").is_some_and(Value::is_null);
    let texts = [
        ("Title", text(product, "title")),
        ("Vendor", text(product, "vendor")),
        ("Type", text(product, "product_type")),
        ("Status", text(product, "status")),
        ("Published", is_hidden.then(|| "false".to_owned())),
    ];
    texts.into_iter().chain(options)
}

/// The picture of a variant: its own, or the product's one that names it.
fn variant_image(product: &Map<String, Value>, variant: &Map<String, Value>) -> Option<String> {
    if let Some(Value::Object(image)) = variant.get("featured_image") {
        return text(image, "src");
    }
    let id = variant.get("id")?;
    let names_it = |image: &&Map<String, Value>| {
        image.get("variant_ids").and_then(Value::as_array).is_some_and(|ids| ids.contains(id))
    };
    images(product).find(names_it).and_then(|image| text(image, "src"))
}

fn images(product: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    product.get("images").map(objects).into_iter().flatten()
}

fn objects(list: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    list.as_array().into_iter().flatten().filter_map(Value::as_object)
}

fn text(members: &Map<String, Value>, name: &str) -> Option<String> {
    match members.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
