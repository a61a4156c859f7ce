//! The sign's sentences in each language.

use crate::fault::{Fault, Kind, Result};

/// The sentences of one language. `{...}` is filled in: `{shop}`, `{days}`, `{hosts}`, `{hub}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignTexts {
    /// As HTML names the language.
    pub code: &'static str,
    pub title: &'static str,
    pub purpose: &'static str,
    /// Nothing is kept of people.
    pub kept: &'static str,
    /// There are counts.
    pub counted: &'static str,
    /// Nothing goes out.
    pub silent: &'static str,
    /// Events go out.
    pub told: &'static str,
    /// Others may read what is recognized.
    pub read: &'static str,
    /// Figures go to the hub.
    pub figures: &'static str,
    /// The camera's pictures come over the network.
    pub camera: &'static str,
    /// Staff may see the picture.
    pub watched: &'static str,
    /// Staff may see crops of the last garments.
    pub cropped: &'static str,
    pub responsible: &'static str,
    /// Where `privacy.contact` is not set: to be written by hand.
    pub unnamed: &'static str,
    pub rights: &'static str,
    pub more: &'static str,
}

pub const ALL: [SignTexts; 5] = [
    SignTexts {
        code: "en",
        title: "This mirror has a camera",
        purpose: "It recognizes the clothes that you wear and shows you matching products of {shop}.",
        kept: "No picture is stored. Nobody is identified. Faces, age, sex and mood are not evaluated.",
        counted: "Anonymous counts by hour are kept for {days} days.",
        silent: "Nothing leaves this device.",
        told: "Anonymous events without pictures are sent to {hosts}.",
        read: "What the mirror recognizes can be read by people and programs that have access to it.",
        figures: "Figures without pictures are sent to {hub}.",
        camera: "The camera is connected over the network.",
        watched: "Staff may see the live picture.",
        cropped: "Staff may see small pictures of the garments that were recognized, for ten minutes at most; they are \
                  never written to a disk.",
        responsible: "Responsible:",
        unnamed: "(name and address)",
        rights: "You may ask what is processed, object, and complain to the data protection authority. You need not stand before \
                 the mirror to shop here.",
        more: "All details: scan the code or ask us.",
    },
    SignTexts {
        code: "it",
        title: "Questo specchio ha una telecamera",
        purpose: "Riconosce i capi che indossi e ti mostra prodotti simili di {shop}.",
        kept: "Nessuna immagine viene salvata. Nessuno viene identificato. Volto, età, sesso e umore non vengono analizzati.",
        counted: "Conteggi anonimi per ora vengono conservati per {days} giorni.",
        silent: "Nulla lascia questo dispositivo.",
        told: "Eventi anonimi senza immagini vengono inviati a {hosts}.",
        read: "Ciò che lo specchio riconosce può essere letto da persone e programmi che vi hanno accesso.",
        figures: "Dati numerici senza immagini vengono inviati a {hub}.",
        camera: "La telecamera è collegata tramite la rete.",
        watched: "Il personale può vedere l'immagine dal vivo.",
        cropped: "Il personale può vedere piccole immagini dei capi riconosciuti, per dieci minuti al massimo; non vengono \
                  mai scritte su un disco.",
        responsible: "Titolare del trattamento:",
        unnamed: "(nome e indirizzo)",
        rights: "Puoi chiedere quali dati vengono trattati, opporti e presentare reclamo al Garante per la protezione dei dati. \
                 Puoi fare acquisti qui anche senza metterti davanti allo specchio.",
        more: "Tutti i dettagli: inquadra il codice o chiedi a noi.",
    },
    SignTexts {
        code: "de",
        title: "Dieser Spiegel hat eine Kamera",
        purpose: "Er erkennt die Kleidung, die Sie tragen, und zeigt Ihnen passende Produkte von {shop}.",
        kept: "Es wird kein Bild gespeichert. Niemand wird identifiziert. Gesicht, Alter, Geschlecht und Stimmung werden nicht \
               ausgewertet.",
        counted: "Anonyme Zählungen je Stunde werden {days} Tage aufbewahrt.",
        silent: "Nichts verlässt dieses Gerät.",
        told: "Anonyme Ereignisse ohne Bilder werden an {hosts} gesendet.",
        read: "Was der Spiegel erkennt, können Personen und Programme lesen, die Zugang dazu haben.",
        figures: "Zahlen ohne Bilder werden an {hub} gesendet.",
        camera: "Die Kamera ist über das Netzwerk angeschlossen.",
        watched: "Das Personal kann das Livebild sehen.",
        cropped: "Das Personal kann kleine Bilder der erkannten Kleidungsstücke sehen, höchstens zehn Minuten lang; sie \
                  werden nie auf einen Datenträger geschrieben.",
        responsible: "Verantwortlich:",
        unnamed: "(Name und Adresse)",
        rights: "Sie können Auskunft verlangen, widersprechen und sich bei der Datenschutzbehörde beschweren. Sie können hier \
                 auch einkaufen, ohne vor den Spiegel zu treten.",
        more: "Alle Einzelheiten: Code scannen oder uns fragen.",
    },
    SignTexts {
        code: "fr",
        title: "Ce miroir est équipé d'une caméra",
        purpose: "Il reconnaît les vêtements que vous portez et vous montre des produits assortis de {shop}.",
        kept: "Aucune image n'est enregistrée. Personne n'est identifié. Le visage, l'âge, le sexe et l'humeur ne sont pas \
               analysés.",
        counted: "Des comptages anonymes par heure sont conservés pendant {days} jours.",
        silent: "Rien ne quitte cet appareil.",
        told: "Des événements anonymes, sans images, sont envoyés à {hosts}.",
        read: "Ce que le miroir reconnaît peut être lu par les personnes et les programmes qui y ont accès.",
        figures: "Des chiffres, sans images, sont envoyés à {hub}.",
        camera: "La caméra est reliée par le réseau.",
        watched: "Le personnel peut voir l'image en direct.",
        cropped: "Le personnel peut voir de petites images des vêtements reconnus, pendant dix minutes au plus ; elles ne \
                  sont jamais écrites sur un disque.",
        responsible: "Responsable du traitement :",
        unnamed: "(nom et adresse)",
        rights: "Vous pouvez demander quelles données sont traitées, vous y opposer et saisir l'autorité de protection des \
                 données. Vous pouvez faire vos achats ici sans passer devant le miroir.",
        more: "Tous les détails : scannez le code ou demandez-nous.",
    },
    SignTexts {
        code: "es",
        title: "Este espejo tiene una cámara",
        purpose: "Reconoce la ropa que lleva y le muestra productos similares de {shop}.",
        kept: "No se guarda ninguna imagen. No se identifica a nadie. No se analizan la cara, la edad, el sexo ni el estado de \
               ánimo.",
        counted: "Se conservan recuentos anónimos por hora durante {days} días.",
        silent: "Nada sale de este dispositivo.",
        told: "Se envían eventos anónimos, sin imágenes, a {hosts}.",
        read: "Lo que reconoce el espejo pueden leerlo las personas y los programas que tienen acceso a él.",
        figures: "Se envían cifras, sin imágenes, a {hub}.",
        camera: "La cámara está conectada a través de la red.",
        watched: "El personal puede ver la imagen en directo.",
        cropped: "El personal puede ver imágenes pequeñas de las prendas reconocidas, durante diez minutos como máximo; \
                  nunca se escriben en un disco.",
        responsible: "Responsable del tratamiento:",
        unnamed: "(nombre y dirección)",
        rights: "Puede preguntar qué datos se tratan, oponerse y reclamar ante la autoridad de protección de datos. Puede \
                 comprar aquí sin ponerse delante del espejo.",
        more: "Todos los detalles: escanee el código o pregúntenos.",
    },
];

/// The texts of these languages, in their order.
///
/// # Errors
/// [`Kind::Usage`]: one of them is not here.
pub fn named(codes: &[String]) -> Result<Vec<SignTexts>> {
    let find = |code: &String| {
        ALL.into_iter().find(|texts| texts.code == code.trim()).ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|texts| texts.code).collect();
            Fault::new(Kind::Usage, format!("the sign is not written in {code:?}"))
                .cure(format!("choose of {}", known.join(", ")))
        })
    };
    codes.iter().map(find).collect()
}
