//! What a shop system calls size and colour, in the languages of its shops.

/// The two options that a card shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    Size,
    Color,
}

const SIZES: &str = "size sizes größe groesse grösse konfektionsgröße taille talla talle taglia maat tamanho rozmiar storlek størrelse koko \
    velikost veľkosť méret mărime размер サイズ 尺码 尺寸 크기 beden";
const COLORS: &str = "color colour colors farbe couleur colore colori kleur cor kolor färg farve farge väri barva farba szín culoare цвет \
    カラー 颜色 顏色 색상 renk";

/// The kind of an option by its name; `Size (EU)` and `pa_color` too.
pub fn option_kind(name: &str) -> Option<OptionKind> {
    let name = name.to_lowercase();
    let words = || name.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let any = |list: &str| words().any(|word| list.split_whitespace().any(|known| known == word));
    match () {
        _ if any(SIZES) => Some(OptionKind::Size),
        _ if any(COLORS) => Some(OptionKind::Color),
        _ => None,
    }
}

/// Whether a value is a size by itself: `M`, `3XL`, `38`, `Large`.
pub fn is_size(value: &str) -> bool {
    let value = value.trim().to_lowercase();
    let letters = value.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let is_number = letters.is_empty() && (1..=3).contains(&value.len());
    is_number || ["s", "m", "l", "small", "medium", "large"].contains(&letters.trim_start_matches(['x', '-', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_known_by_themselves() {
        for size in ["S", "m", "XL", "3XL", "XXS", "38", "Large", "X-Large"] {
            assert!(is_size(size), "{size}");
        }
        for other in ["Regular", "Black", "Black, S", "", "Slim", "1000"] {
            assert!(!is_size(other), "{other}");
        }
    }

    #[test]
    fn options_are_known_in_several_languages() {
        for (name, kind) in [
            ("Size", Some(OptionKind::Size)),
            ("Größe", Some(OptionKind::Size)),
            ("Size (EU)", Some(OptionKind::Size)),
            ("pa_color", Some(OptionKind::Color)),
            ("Couleur", Some(OptionKind::Color)),
            ("Title", None),
            ("Material", None),
        ] {
            assert_eq!(option_kind(name), kind, "{name}");
        }
    }
}
