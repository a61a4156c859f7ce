//! The columns that a catalogue keeps, under Google Merchant's names, and those that it knows and does not keep.

/// A column that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    Id,
    Title,
    ImageLink,
    AdditionalImageLink,
    Price,
    Brand,
    Color,
    Size,
    Availability,
    ProductType,
    Link,
    ItemGroupId,
    SalePrice,
    SalePriceEffectiveDate,
    /// Pieces in stock: a number, or one for each size.
    Quantity,
    /// Where in the shop it hangs.
    Location,
    /// The number on its label.
    Gtin,
}

impl Field {
    pub const ALL: [Field; 17] = [
        Field::Id,
        Field::Title,
        Field::ImageLink,
        Field::AdditionalImageLink,
        Field::Price,
        Field::Brand,
        Field::Color,
        Field::Size,
        Field::Availability,
        Field::ProductType,
        Field::Link,
        Field::ItemGroupId,
        Field::SalePrice,
        Field::SalePriceEffectiveDate,
        Field::Quantity,
        Field::Location,
        Field::Gtin,
    ];

    /// Every product has these.
    pub const REQUIRED: [Field; 3] = [Field::Id, Field::Title, Field::ImageLink];

    /// Google Merchant's name.
    pub fn name(self) -> &'static str {
        match self {
            Field::Id => "id",
            Field::Title => "title",
            Field::ImageLink => "image_link",
            Field::AdditionalImageLink => "additional_image_link",
            Field::Price => "price",
            Field::Brand => "brand",
            Field::Color => "color",
            Field::Size => "size",
            Field::Availability => "availability",
            Field::ProductType => "product_type",
            Field::Link => "link",
            Field::ItemGroupId => "item_group_id",
            Field::SalePrice => "sale_price",
            Field::SalePriceEffectiveDate => "sale_price_effective_date",
            Field::Quantity => "quantity",
            Field::Location => "location",
            Field::Gtin => "gtin",
        }
    }

    /// The field of a column's [`key`], by Google's name or another common one.
    pub fn named(key: &str) -> Option<Field> {
        let name = match key {
            "colour" => "color",
            "offer_id" => "id",
            "additional_image_links" => "additional_image_link",
            "product_types" => "product_type",
            "sizes" => "size",
            "inventory" | "quantity_to_sell_on_facebook" => "quantity",
            "barcode" | "ean" | "eans" | "ean13" | "ean_13" | "upc" | "isbn" | "jan" => "gtin",
            // Meta's pictures have numbers: image[0].url.
            key if key.starts_with("image[") && key.ends_with("]_url") => "additional_image_link",
            key => key,
        };
        Field::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Whether the field may stand in several columns, whose values add up.
    pub fn is_list(self) -> bool {
        matches!(self, Field::AdditionalImageLink | Field::Gtin)
    }
}

/// Google Merchant columns that a mirror has no use for: accepted, not kept.
pub const IGNORED: [&str; 61] = [
    "ads_redirect",
    "adult",
    "age_group",
    "auto_pricing_min_price",
    "availability_date",
    "certification",
    "condition",
    "consumer_notice",
    "cost_of_goods_sold",
    "custom_label_0",
    "custom_label_1",
    "custom_label_2",
    "custom_label_3",
    "custom_label_4",
    "description",
    "disclosure_date",
    "display_ads_id",
    "display_ads_link",
    "display_ads_similar_ids",
    "display_ads_title",
    "display_ads_value",
    "energy_efficiency_class",
    "excluded_destination",
    "expiration_date",
    "external_seller_id",
    "free_shipping_threshold",
    "gender",
    "google_product_category",
    "identifier_exists",
    "included_destination",
    "installment",
    "is_bundle",
    "lifestyle_image_link",
    "link_template",
    "loyalty_points",
    "loyalty_program",
    "material",
    "max_energy_efficiency_class",
    "max_handling_time",
    "maximum_retail_price",
    "min_energy_efficiency_class",
    "min_handling_time",
    "minimum_order_value",
    "mobile_link",
    "mobile_link_template",
    "mpn",
    "multipack",
    "pattern",
    "pause",
    "product_detail",
    "product_highlight",
    "promotion_id",
    "return_policy_label",
    "shipping",
    "shipping_label",
    "shipping_weight",
    "size_system",
    "size_type",
    "summary",
    "unit_pricing_measure",
    "updated",
];

/// A column's name for comparison: `g:Image Link` and `imageLink` are `image_link`.
pub fn key(header: &str) -> String {
    let header = header.trim();
    let header = header.strip_prefix("g:").or_else(|| header.strip_prefix("G:")).unwrap_or(header);
    let mut key = String::with_capacity(header.len());
    let mut before = ' ';
    for letter in header.chars() {
        match letter {
            ' ' | '-' | '.' => key.push('_'),
            // imageLink, but not SKU.
            _ if letter.is_uppercase() && before.is_lowercase() => {
                key.push('_');
                key.extend(letter.to_lowercase());
            }
            _ => key.extend(letter.to_lowercase()),
        }
        before = letter;
    }
    key
}

/// Columns of Meta's catalogues that Google's lack, numbered ones without their number: accepted, not kept.
const META: [&str; 7] = [
    "fb_product_category",
    "video",
    "product_tags",
    "style",
    "custom_number_0",
    "commerce_tax_category",
    "rich_text_description",
];

/// Columns that say in which currency prices are that do not say it themselves.
pub const CURRENCY: [&str; 7] =
    ["currency", "currency_code", "price_currency", "währung", "devise", "moneda", "valuta"];

/// Elements of RSS and Atom that a mirror has no use for.
const RSS: [&str; 8] = ["guid", "pub_date", "comments", "enclosure", "content", "published", "rights", "contributor"];

/// Whether a column is kept or known: of Meta's `video[0]_url` and Google's `shipping(country:price)` what stands before the bracket.
pub fn is_known(key: &str) -> bool {
    let bare = key.split(['[', '(']).next().unwrap_or_default();
    Field::named(key).is_some()
        || IGNORED.contains(&bare)
        || META.contains(&bare)
        || RSS.contains(&key)
        || CURRENCY.contains(&key)
        || key.starts_with("image[")
}

/// The known column nearest to `key`, within two edits and less than half of its letters.
pub fn nearest(key: &str) -> Option<&'static str> {
    let key: String = key.chars().take(40).collect();
    let all = Field::ALL.iter().map(|field| field.name()).chain(IGNORED);
    all.filter(|known| known.len().abs_diff(key.len()) <= 2)
        .map(|known| (edits(&key, known), known))
        .filter(|(edits, known)| *edits <= 2 && 2 * *edits < known.len())
        .min()
        .map(|(_, known)| known)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
