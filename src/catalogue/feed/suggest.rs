//! Which columns of an export that is not known are probably which of ours: for the message that asks for `--map`.

use super::field::{Field, key};
use super::map::ColumnMap;
use std::collections::HashMap;

/// What exports call a field, by [`key`]; the most telling names first.
const NAMES: [(Field, &str); 17] = [
    (
        Field::Id,
        "merchant_product_id product_id item_id article_id sku variant_sku item_sku artikelnummer artikel_nr artikelnr artikelnummer_im_shop \
         product_number article_number item_number reference référence référence_produit referencia codice codice_articolo artikelcode \
         mpn model asin code",
    ),
    (
        Field::Title,
        "product_name product_title item_name article_name display_name titel produktname artikelname bezeichnung name nom nom_du_produit titre \
         désignation nombre nombre_del_producto título nome nome_prodotto titolo titulo productnaam naam",
    ),
    (
        Field::ImageLink,
        "image_url image_urls picture_url photo_url main_image_url main_image merchant_image_url large_image primary_image bildlink bild_url \
         bild_urls bildurl bild image image_src image_name image1 image_1 photo foto foto_1 photo_1 picture picture1 pictures images photos image_link_1 \
         lien_image url_image url_de_l'image imagen url_imagen enlace_imagen immagine url_immagine link_immagine afbeelding afbeeldingslink \
         aw_image_url",
    ),
    (
        Field::AdditionalImageLink,
        "additional_images additional_image_urls more_images gallery gallery_images weitere_bilder zusätzlicher_bildlink alternate_image \
         image2 image3 image4 image5 image6 image7 image8 image9 image10 image_2 image_3 image_4 image_5 image_link_2 image_link_3 \
         foto_2 foto_3 foto_4 photo_2 photo_3 photo_4 picture2 picture3 picture4 lien_image_supplémentaire enlace_imágenes_adicionales link_immagine_aggiuntiva",
    ),
    (
        Field::Price,
        "search_price retail_price regular_price selling_price price_gross preis bruttopreis verkaufspreis prix prix_ttc precio prezzo prijs \
         preço store_price unit_price amount",
    ),
    (
        Field::Brand,
        "brand_name brands manufacturer manufacturer_name vendor marke hersteller herstellername marque fabricant marca fabricante merk \
         produttore",
    ),
    (Field::Color, "color_name colour_name farbe couleur colore kleur cor fashion:colour"),
    (Field::Size, "fashion:size size_name größe groesse konfektionsgröße taille talla taglia maat tamanho"),
    (
        Field::Availability,
        "in_stock stock_status verfügbarkeit disponibilité disponibilidad disponibilità beschikbaarheid",
    ),
    (
        Field::ProductType,
        "merchant_category category_path category_name category categories product_category produkttyp produktkategorie kategorie kategoriepfad \
         produktgruppe warengruppe catégorie type_de_produit categoría categoria categorie type department",
    ),
    (
        Field::Link,
        "merchant_deep_link product_url product_link deeplink deep_link url page_url produkt_url produktlink lien url_produit enlace url_prodotto \
         permalink",
    ),
    (
        Field::ItemGroupId,
        "parent_product_id parent_sku parent_id group_id artikelgruppen_id gruppen_id variant_group style_number handle identifiant_groupe \
         id_grupo_artículos",
    ),
    (
        Field::SalePrice,
        "special_price discount_price offer_price sonderangebotspreis aktionspreis angebotspreis prix_soldé prix_promo precio_oferta prezzo_scontato",
    ),
    (Field::SalePriceEffectiveDate, "sonderangebotszeitraum"),
    (
        Field::Quantity,
        "stock_quantity stock_level stock qty lagerbestand bestand menge quantité cantidad quantità voorraad",
    ),
    (Field::Location, "shelf regal standort lagerplatz emplacement ubicación ubicazione"),
    (Field::Gtin, "gtin13 gtin_13 ean_code eans eancode barcodes ean_/_gtin barcode_ean"),
];

/// Bytes of a column's name that is proposed, at most.
const MOST_SAID: usize = 80;

/// The whole map to give: `map`, and a column for each field that neither it nor the table's columns name, as far as their names tell; for a
/// required field of which none tells, `COLUMN`. `None` where nothing is to be added.
pub fn complete(columns: &[String], map: &ColumnMap) -> Option<String> {
    let has = |field: Field| map.maps(field) || columns.iter().any(|name| Field::named(&key(name)) == Some(field));
    let free = columns.iter().filter(|name| map.fields(name).next().is_none() && may_be_said(name));
    let by_key: HashMap<String, &str> = free.rev().map(|name| (bare_key(name), name.trim())).collect();
    let missing = NAMES.iter().filter(|(field, _)| !has(*field));
    let pairs = missing.flat_map(|(field, names)| {
        let found = names.split_whitespace().filter_map(|name| by_key.get(name).copied());
        // All pictures are wanted.
        let mut found: Vec<&str> =
            found.take(if *field == Field::AdditionalImageLink { usize::MAX } else { 1 }).collect();
        if found.is_empty() && Field::REQUIRED.contains(field) {
            found.push("COLUMN");
        }
        found.into_iter().map(|column| format!("{}={column}", field.name())).collect::<Vec<_>>()
    });
    let pairs: Vec<String> = pairs.collect();
    let given = Some(map.to_string()).filter(|map| !map.is_empty());
    (!pairs.is_empty()).then(|| given.into_iter().chain(pairs).collect::<Vec<_>>().join(","))
}

/// Whether a column's name can stand in a `--map "..."` that people copy into a shell: it has no mark that the map or the shell reads.
fn may_be_said(column: &str) -> bool {
    column.len() <= MOST_SAID && !column.contains(|letter: char| letter.is_control() || "=\",$`\\!".contains(letter))
}

/// A column's key without a language or unit behind it: `name(en-gb)`, `Preis (Brutto)`, `titel [title]`.
fn bare_key(column: &str) -> String {
    let name = column.split(['(', '[']).next().unwrap_or_default();
    key(name.trim_matches(['*', ' ', '\u{feff}']))
}
