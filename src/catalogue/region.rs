//! The region of the body that a product covers, as far as its texts say it: a small table of words in English, German, French, Spanish,
//! Italian and Dutch.
//!
//! In English the last word of a name says what the thing is: a jean jacket is a jacket, a dress shirt is a shirt. So in each
//! phrase the last garment word counts, before words that only tell more ("veste en jean"). Of a German or Dutch compound it is the
//! end: a Sommerkleid is a Kleid. `product_type` is asked first, from the narrowest category to the widest, then the
//! title. Where parts of one phrase disagree ("shirts & dresses"), it says nothing.

use super::product::Product;
use crate::seam::Region;

const UPPER: &str = "anorak bandeau blazer blouse bodysuit bra bralette cami camisole cardigan coat fleece gilet henley hoodie \
    hoody jacket jersey jumper knitwear longsleeve outerwear outwear parka polo poncho pullover shirt singlet \
    sweater sweatshirt tank tee top tshirt tunic turtleneck upper vest \
    bluse blusen hemd hemden jacke jacken mantel mäntel oberteil oberteile pulli pullis strickjacke weste westen \
    blouson chemise chemisier débardeur doudoune haut manteau manteaux marinière pull sweat veste \
    abrigo blusa camisa camiseta cazadora chaleco chaqueta sudadera \
    camicia camicie canotta cappotto cappotti felpa felpe giacca giacche maglia maglie maglietta magliette maglione maglioni piumino \
    jas jassen overhemd overhemden trui truien";

const LOWER: &str = "bottom capri cargos chino culotte jean jegging jogger kilt legging lower pant pants shorts skirt skort \
    slacks sweatpant tights trackpant trouser trousers \
    bermuda falda gonna gonne hose hosen jupe pantalon pantalón pantalones pantaloncini pantaloni röcke vaqueros \
    broek broeken rok rokken";

const DRESS: &str = "dress frock gown minidress sundress maxidress \
    kleid kleider robe vestido abito abiti vestito vestiti jurk jurken";

/// Ends of German and Dutch compounds. "rock" by itself is music.
const UPPER_ENDS: &str = "bluse blusen hemd hemden jacke jacken mantel mäntel pullover shirt shirts weste westen";
const LOWER_ENDS: &str = "broek hose hosen rock röcke";
const DRESS_ENDS: &str = "jurk jurken kleid kleider";

/// Words after which a name only tells more: "shirt with jeans pocket".
const MORE: [&str; 24] = [
    "with", "for", "in", "by", "from", "over", "aus", "mit", "für", "von", "en", "de", "à", "avec", "pour", "con",
    "para", "di", "da", "per", "met", "van", "voor", "uit",
];

impl Product {
    /// The region that `product_type` or the title says; `None` where neither does so clearly.
    pub fn region(&self) -> Option<Region> {
        let categories = self.product_type.as_deref().unwrap_or_default();
        categories.rsplit('>').find_map(of_phrases).or_else(|| of_phrases(&self.title))
    }
}

/// The first phrase that says something decides.
fn of_phrases(text: &str) -> Option<Region> {
    let text = text.to_lowercase();
    text.split([',', ';', '(', ')', '|', ':', '–', '—']).find_map(of_phrase)
}

/// What the parts of a phrase agree on.
fn of_phrase(phrase: &str) -> Option<Region> {
    let mut regions = parts(phrase).into_iter().filter_map(|part| of_part(&part));
    let first = regions.next()?;
    regions.all(|other| other == first).then_some(first)
}

/// The words of each part of a phrase: "t-shirts & shirts" has two.
fn parts(phrase: &str) -> Vec<Vec<&str>> {
    let mut parts = vec![Vec::new()];
    for word in phrase.split(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '&' | '+' | '/')) {
        for (place, piece) in word.split(['&', '+', '/']).enumerate() {
            if place > 0 || piece == "and" || piece == "or" {
                parts.push(Vec::new());
            }
            if let Some(part) = parts.last_mut().filter(|_| !piece.is_empty()) {
                part.push(piece);
            }
        }
    }
    parts
}

fn of_part(words: &[&str]) -> Option<Region> {
    let name = words.iter().take_while(|word| !MORE.contains(word));
    name.filter_map(|word| of_word(word)).last()
}

/// "short" is a length and "shorts" a garment, so the word counts as it is first, then without its plural's s.
fn of_word(word: &str) -> Option<Region> {
    let known = |word: &str| {
        let tables = [(UPPER, Region::Upper), (LOWER, Region::Lower), (DRESS, Region::Dress)];
        tables.into_iter().find(|(words, _)| words.split_whitespace().any(|one| one == word)).map(|(_, region)| region)
    };
    let singular = || word.strip_suffix("es").and_then(known).or_else(|| word.strip_suffix('s').and_then(known));
    let compound = || {
        let ends = [(UPPER_ENDS, Region::Upper), (LOWER_ENDS, Region::Lower), (DRESS_ENDS, Region::Dress)];
        let is_end = |end: &str| word.len() > end.len() && word.ends_with(end);
        ends.into_iter().find(|(ends, _)| ends.split_whitespace().any(is_end)).map(|(_, region)| region)
    };
    known(word).or_else(singular).or_else(compound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Region::{Dress, Lower, Upper};

    fn region(product_type: &str, title: &str) -> Option<Region> {
        let product_type = Some(product_type.to_owned()).filter(|text| !text.is_empty());
        Product { product_type, title: title.to_owned(), ..Product::default() }.region()
    }

    #[test]
    fn titles_say_it_by_their_last_garment_word() {
        for (title, expected) in [
            ("Breton stripe tee, white", Some(Upper)),
            ("Jean jacket", Some(Upper)),
            ("Dress shirt in blue", Some(Upper)),
            ("Shirt dress with jeans pocket", Some(Dress)),
            ("Short-sleeved T-Shirt", Some(Upper)),
            ("Cargo shorts", Some(Lower)),
            ("Sports bra", Some(Upper)),
            ("Ida Workout Parachute Pant", Some(Lower)),
            ("High-rise leggings (black)", Some(Lower)),
            ("White, wide-leg trousers", Some(Lower)),
            ("Tank & shorts set", None),
            ("Leather belt", None),
            ("Hard Rock", None),
            ("Kleid aus Leinen", Some(Dress)),
            ("Sommerkleid „Lena“", Some(Dress)),
            ("Jeansjacke mit Kapuze", Some(Upper)),
            ("Faltenrock", Some(Lower)),
            ("Veste en jean", Some(Upper)),
            ("Robe d'été à fleurs", Some(Dress)),
            ("Pantalones vaqueros de mujer", Some(Lower)),
            ("Giacca di lino", Some(Upper)),
            ("Zomerjurk met print", Some(Dress)),
            ("Pair of trousers", Some(Lower)),
        ] {
            assert_eq!(region("", title), expected, "{title}");
        }
    }

    #[test]
    fn the_narrowest_category_that_says_it_counts_before_the_title() {
        for (product_type, title, expected) in [
            ("Apparel & Accessories > Clothing > Pants", "Nova", Some(Lower)),
            ("Apparel & Accessories > Clothing > Shirts & Tops", "Skirt lover's choice", Some(Upper)),
            ("Women > Dresses", "Sweater weather", Some(Dress)),
            ("Tops > T-shirts & shirts", "Nova", Some(Upper)),
            ("Clothing > Outerwear > Coats & Jackets", "Nova", Some(Upper)),
            ("Women > Skirts > New", "Nova", Some(Lower)),
            ("Shirts & Dresses", "Nova skirt", Some(Lower)),
            ("Damen > Hosen", "Nova", Some(Lower)),
            ("Femme > Hauts > T-shirts", "Nova", Some(Upper)),
            ("upper", "wj09-green", Some(Upper)),
            ("shorts", "msh02-black", Some(Lower)),
        ] {
            assert_eq!(region(product_type, title), expected, "{product_type}: {title}");
        }
    }
}
