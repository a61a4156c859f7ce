//! WooCommerce writes the first line of an export in the language of the one who exports: its columns by their English keys.

use std::borrow::Cow;

/// An English key and what it is in German, French, Spanish, Italian, Dutch and Portuguese; `N` stands for a number.
const TRANSLATIONS: [(&str, &[&str]); 16] = [
    ("type", &["typ", "tipo"]),
    ("sku", &["artikelnummer", "ugs"]),
    (
        "gtin",
        &[
            "gtin,_upc,_ean,_or_isbn",
            "gtin,_upc,_ean_oder_isbn",
            "gtin,_upc,_ean_ou_isbn",
            "gtin,_upc,_ean_o_isbn",
            "gtin,_upc,_ean_of_isbn",
        ],
    ),
    ("name", &["nom", "nombre", "nome", "naam"]),
    ("published", &["veröffentlicht", "publié", "publicado", "pubblicato", "gepubliceerd"]),
    (
        "date_sale_price_starts",
        &[
            "datum,_an_dem_angebotspreis_beginnt",
            "date_de_début_de_promo",
            "día_en_que_empieza_el_precio_rebajado",
            "data_di_partenza_del_prezzo_in_saldo",
            "startdatum_actieprijs",
            "data_de_preço_promocional_começa_em",
        ],
    ),
    (
        "date_sale_price_ends",
        &[
            "datum,_an_dem_angebotspreis_endet",
            "date_de_fin_de_promo",
            "día_en_que_termina_el_precio_rebajado",
            "data_in_cui_termina_l'offerta",
            "einddatum_actieprijs",
            "data_de_preço_promocional_termina_em",
        ],
    ),
    ("in_stock?", &["vorrätig?", "en_stock_?", "¿existencias?", "¿en_inventario?", "op_voorraad?", "em_estoque?"]),
    ("stock", &["lager", "bestand", "inventario", "magazzino", "voorraad", "estoque"]),
    (
        "sale_price",
        &["angebotspreis", "tarif_promo", "precio_rebajado", "prezzo_in_offerta", "actieprijs", "preço_promocional"],
    ),
    (
        "regular_price",
        &["regulärer_preis", "tarif_régulier", "precio_normal", "prezzo_di_listino", "reguliere_prijs", "preço"],
    ),
    ("categories", &["kategorien", "catégories", "categorías", "categorie", "categorieën", "categorias"]),
    ("images", &["bilder", "imágenes", "immagini", "immagine", "afbeeldingen", "imagens"]),
    ("parent", &["übergeordnetes_produkt", "superior", "genitore", "hoofd", "ascendente"]),
    (
        "attribute_N_name",
        &[
            "attribut_N_name",
            "nom_de_l'attribut_N",
            "nombre_del_atributo_N",
            "nome_dell'attributo_N",
            "naam_eigenschap_N",
            "nome_do_atributo_N",
        ],
    ),
    (
        "attribute_N_value(s)",
        &[
            "attribut_N_wert(e)",
            "valeur(s)_de_l'attribut_N",
            "valor(es)_del_atributo_N",
            "valore_dell'attributo_N",
            "waarde_eigenschap_N",
            "valores_do_atributo_N",
        ],
    ),
];

/// Columns that a trade mark plug-in adds, and their translations.
const BRANDS: [&str; 7] = ["brands", "marken", "marques", "marcas", "marchi", "merken", "brand"];

/// The English key of a column's key.
pub fn english(key: &str) -> Cow<'_, str> {
    let plain: String = key
        .chars()
        .map(|letter| match letter {
            '’' => '\'',
            letter if letter.is_whitespace() => '_',
            letter => letter,
        })
        .collect();
    if BRANDS.contains(&plain.as_str()) {
        return "brands".into();
    }
    let number: String = plain.chars().filter(char::is_ascii_digit).collect();
    let pattern = if number.is_empty() { plain } else { plain.replacen(&number, "N", 1) };
    let found = TRANSLATIONS.iter().find(|(_, names)| names.contains(&pattern.as_str()));
    found.map_or(Cow::Borrowed(key), |(english, _)| Cow::Owned(english.replace('N', &number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::feed::field::key;

    #[test]
    fn columns_are_known_in_each_language() {
        for (name, expected) in [
            ("Regulärer Preis", "regular_price"),
            ("Datum, an dem Angebotspreis endet", "date_sale_price_ends"),
            ("Attribut 12 Wert(e)", "attribute_12_value(s)"),
            ("En stock\u{a0}?", "in_stock?"),
            ("Valeur(s) de l’attribut 1 ", "attribute_1_value(s)"),
            ("Nombre del atributo 2", "attribute_2_name"),
            ("Valore dell'attributo 1", "attribute_1_value(s)"),
            ("Waarde eigenschap 3", "attribute_3_value(s)"),
            ("Preço", "regular_price"),
            ("Regular price", "regular_price"),
            ("Attribute 1 value(s)", "attribute_1_value(s)"),
            ("Marken", "brands"),
            ("GTIN, UPC, EAN, or ISBN", "gtin"),
            ("GTIN, UPC, EAN oder ISBN", "gtin"),
            ("Meta: _x1", "meta:__x1"),
        ] {
            assert_eq!(english(&key(name)), expected, "{name}");
        }
    }
}
