//! The sign's sentences in each language.

use crate::fault::{Fault, Kind, Result};
use crate::language::Language;

/// The sentences of one language. `{...}` is filled in: `{shop}`, `{days}`, `{hosts}`, `{hub}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignTexts {
    pub language: Language,
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

/// In the order of [`Language::ALL`].
pub const ALL: [SignTexts; 7] = [
    SignTexts {
        language: Language::En,
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
        language: Language::It,
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
        language: Language::De,
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
        language: Language::Fr,
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
        language: Language::Es,
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
    SignTexts {
        language: Language::Ja,
        title: "この鏡にはカメラがあります",
        purpose: "着ている服を認識し、{shop}の近い商品を表示します。",
        kept: "映像は保存されません。個人の特定は行いません。顔、年齢、性別、感情は分析しません。",
        counted: "1時間ごとの匿名の件数を{days}日間保存します。",
        silent: "この機器から外部に送信されるものはありません。",
        told: "映像を含まない匿名のイベントを{hosts}に送信します。",
        read: "この鏡が認識した内容は、閲覧を許可された人やプログラムが見ることができます。",
        figures: "映像を含まない数値を{hub}に送信します。",
        camera: "カメラはネットワーク経由で接続されています。",
        watched: "スタッフが現在の映像を見ることがあります。",
        cropped: "スタッフが、認識された服の小さな画像を最長10分間見ることがあります。画像がディスクに書き込まれることはありません。",
        responsible: "管理者：",
        unnamed: "（名称と住所）",
        rights: "何が処理されているかを尋ね、異議を申し立て、個人情報保護の監督機関に苦情を申し出ることができます。この鏡の前に立たなくても、お買い物ができます。",
        more: "詳しくは、コードを読み取るか、スタッフにお尋ねください。",
    },
    SignTexts {
        language: Language::Ar,
        title: "في هذه المرآة كاميرا",
        purpose: "تتعرّف على الملابس التي ترتديها وتعرض لك منتجات مشابهة من {shop}.",
        kept: "لا تُحفظ أي صورة. لا تُحدَّد هوية أحد. ولا يُحلَّل الوجه ولا العمر ولا الجنس ولا الحالة المزاجية.",
        counted: "تُحفظ أعداد مجهولة الهوية لكل ساعة مدة {days} يومًا.",
        silent: "لا يخرج شيء من هذا الجهاز.",
        told: "تُرسَل أحداث مجهولة الهوية وبلا صور إلى {hosts}.",
        read: "يمكن للأشخاص والبرامج المصرَّح لهم الاطلاع على ما تتعرّف عليه المرآة.",
        figures: "تُرسَل أرقام بلا صور إلى {hub}.",
        camera: "الكاميرا متصلة عبر الشبكة.",
        watched: "يمكن للموظفين رؤية الصورة المباشرة.",
        cropped: "يمكن للموظفين رؤية صور صغيرة للملابس التي تم التعرّف عليها مدة عشر دقائق على الأكثر، ولا تُكتب هذه الصور على قرص أبدًا.",
        responsible: "الجهة المسؤولة:",
        unnamed: "(الاسم والعنوان)",
        rights: "يمكنك أن تسأل عمّا يُعالَج من بيانات، وأن تعترض، وأن تقدّم شكوى إلى هيئة حماية البيانات. ويمكنك التسوق هنا دون الوقوف أمام المرآة.",
        more: "لكل التفاصيل: امسح الرمز أو اسألنا.",
    },
];

/// The texts of these languages, in their order.
///
/// # Errors
/// [`Kind::Usage`]: one of them is not here.
pub fn named(codes: &[String]) -> Result<Vec<SignTexts>> {
    let find = |code: &String| {
        ALL.into_iter().find(|texts| texts.language.tag() == code.trim()).ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|texts| texts.language.tag()).collect();
            Fault::new(Kind::Usage, format!("the sign is not written in {code:?}"))
                .cure(format!("choose of {}", known.join(", ")))
        })
    };
    codes.iter().map(find).collect()
}
