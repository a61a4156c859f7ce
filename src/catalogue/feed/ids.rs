//! Ids of what a shop sells: its SKU where that names one row alone, else an id made of its product's name and its options.

use std::collections::{HashMap, HashSet};

/// What names a row that is sold.
pub struct RowName<'t> {
    /// The row's number in the table.
    pub record: usize,
    pub sku: Option<&'t str>,
    /// The product, then the values of the options.
    pub parts: Vec<String>,
}

/// The id of each row by its number in the table. Rows have the same id only where they have the same parts.
pub fn ids(rows: &[RowName]) -> HashMap<usize, String> {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    rows.iter().filter_map(|row| row.sku).for_each(|sku| *uses.entry(sku).or_default() += 1);
    let made = made_ids(rows);
    let of_rows: HashMap<&str, &[String]> = made.iter().zip(rows).map(|(id, row)| (id.as_str(), &*row.parts)).collect();
    let is_others = |sku: &str, row: &RowName| of_rows.get(sku).is_some_and(|parts| *parts != row.parts);
    let id = |(row, made): (&RowName, &String)| {
        let sku = row.sku.filter(|sku| uses[sku] == 1 && !is_others(sku, row));
        (row.record, sku.map_or_else(|| made.clone(), str::to_owned))
    };
    rows.iter().zip(&made).map(id).collect()
}

/// The parts with hyphens between them; slashes where other parts, which hold hyphens themselves, would give the same.
fn made_ids(rows: &[RowName]) -> Vec<String> {
    let mut first: HashMap<String, &[String]> = HashMap::new();
    let mut ambiguous = HashSet::new();
    for row in rows {
        let joined = row.parts.join("-");
        if *first.entry(joined.clone()).or_insert(&row.parts) != row.parts {
            ambiguous.insert(joined);
        }
    }
    let id = |row: &RowName| {
        let joined = row.parts.join("-");
        if ambiguous.contains(&joined) { row.parts.join("/") } else { joined }
    };
    rows.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'t>(rows: &[(&'t str, &[&str])]) -> Vec<String> {
        let name = |(record, (sku, parts)): (usize, &(&'t str, &[&str]))| RowName {
            record,
            sku: Some(*sku).filter(|sku| !sku.is_empty()),
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        };
        let names: Vec<RowName> = rows.iter().enumerate().map(name).collect();
        let ids = ids(&names);
        (0..rows.len()).map(|record| ids[&record].clone()).collect()
    }

    #[test]
    fn a_sku_names_one_row_alone() {
        assert_eq!(of(&[("A", &["tee", "S"]), ("B", &["tee", "M"])]), ["A", "B"]);
        assert_eq!(of(&[("A", &["tee", "S"]), ("A", &["tee", "M"]), ("", &["cap"])]), ["tee-S", "tee-M", "cap"]);
        assert_eq!(of(&[("cap", &["cap"]), ("", &["tee"])]), ["cap", "tee"]);
    }

    #[test]
    fn a_sku_that_is_the_name_of_another_product_is_no_id() {
        assert_eq!(of(&[("", &["7"]), ("7", &["8", "S"]), ("8", &["8", "M"])]), ["7", "8-S", "8"]);
        assert_eq!(of(&[("7", &["8", "S"]), ("", &["7"])]), ["8-S", "7"], "in any order");
    }

    #[test]
    fn hyphens_of_names_do_not_make_two_products_one() {
        let ids = of(&[("", &["tee", "red", "S"]), ("", &["tee-red", "S"]), ("", &["tee-red", "M"])]);
        assert_eq!(ids, ["tee/red/S", "tee-red/S", "tee-red-M"]);
        assert_eq!(of(&[("", &["tee", "S"]), ("", &["tee", "S"])]), ["tee-S", "tee-S"], "the second is reported");
    }
}
