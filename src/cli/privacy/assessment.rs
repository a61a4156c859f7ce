//! A draft for the data protection impact assessment (GDPR, article 35): what the program can say of itself is filled in, what only
//! the shop knows is marked.

use super::facts::PrivacyFacts;
use crate::web::LiveView;

/// What the shop has to write itself.
const SHOP: &str = "**To be written by the shop:**";

/// The draft.
pub fn markdown(facts: &PrivacyFacts) -> String {
    let contact = facts.contact.clone().unwrap_or_else(|| format!("{SHOP} name, address, data protection officer"));
    let notice = facts.notice.clone().unwrap_or_else(|| format!("{SHOP} where the whole notice can be read"));
    let kept: String =
        facts.kept.iter().map(|one| format!("| {} | {} | {} |\n", one.what, one.place, one.how_long)).collect();
    let sent: String =
        facts.sent.iter().map(|one| format!("| {} | {} | `{}` |\n", one.what, one.to, one.because)).collect();
    let sent = if sent.is_empty() {
        "Nothing leaves the device.\n".to_owned()
    } else {
        format!("| data | to | key of the configuration |\n|---|---|---|\n{sent}")
    };
    let view = match facts.live_view {
        LiveView::Off => "The live picture is shown on no page.",
        LiveView::Blurred => "The page shows the live picture only so coarse that nobody can be recognized in it.",
        LiveView::Full => "The page shows the live picture to whoever may open it; each look is in the audit log.",
    };
    let crops = match facts.staff_crops {
        true => {
            " Staff may see small pictures of the last garments, in memory for ten minutes at most; each look is in the audit log."
        }
        false => "",
    };
    let masks = match facts.masks {
        0 => "No part of the picture is masked.".to_owned(),
        1 => "One part of the picture is black before anything is computed from it.".to_owned(),
        count => format!("{count} parts of the picture are black before anything is computed from it."),
    };
    let counts = match facts.count_days {
        0 => "Nothing is counted.".to_owned(),
        days => format!("Counts by hour, without identities, are deleted after {days} days."),
    };
    let never = facts.never;
    let shop = &facts.shop;
    format!(
        "# Data protection impact assessment: in-store mirror of {shop} (draft)\n\n\
         Made by `vetrina privacy --assessment` from the mirror's configuration. It is a draft, not legal advice: the shop \
         completes it, decides, and has it checked.\n\n\
         ## 1. Description of the processing\n\n\
         - **Responsible:** {contact}\n- **Notice:** {notice}\n\
         - **Purpose:** a person who stands before the mirror sees products of the shop that match what they wear.\n\
         - **How:** a camera's pictures are compared, in memory, with pictures of the shop's products. {never}\n\
         - **Who is concerned:** whoever comes into the camera's view, children and staff included. {SHOP} where the mirror hangs, \
         what else the camera sees, opening hours, how many people pass.\n- {masks}\n- {view}{crops}\n- {counts}\n\n\
         ### What is kept\n\n| data | where | how long |\n|---|---|---|\n{kept}\n### What goes out\n\n{sent}\n\
         ## 2. Necessity and proportionality\n\n\
         - **Legal basis:** {SHOP} for example consent or legitimate interest, with the balancing test.\n\
         - **Less intrusive ways:** scanning a label, searching by hand. {SHOP} why they do not serve the purpose.\n\
         - **Minimization:** no picture is stored; vectors of garments live seconds; counts have no identities.\n\
         - **Information:** the sign (`vetrina privacy --sign`) hangs where it is read before the camera sees a person. {SHOP} \
         where it hangs.\n- **Rights:** as nothing is kept of a person, there is nothing to give out or to delete afterwards; \
         who objects goes out of view. {SHOP} a way to shop without passing the mirror.\n\n\
         ## 3. Risks\n\n\
         | risk | what stands against it | what remains |\n|---|---|---|\n\
         | people feel watched | sign, \"nothing is recorded\" on the screen | {SHOP} |\n\
         | somebody looks at the live picture | {view} Password, two roles, audit log | {SHOP} |\n\
         | somebody records | only by `vetrina record`, by hand, with a warning on the screen and a line in the audit log | {SHOP} |\n\
         | the device is stolen | no picture is on its disk | catalogue, counts, audit log |\n\
         | the device is broken into | no connection that is not configured, hardened service | live pictures while it lasts |\n\
         | what a person wears says something of religion, health or origin | garments are matched with products alone; nothing \
         is kept by person | {SHOP} |\n\n\
         ## 4. Decision\n\n{SHOP} measures, date, who decided, when it is looked at again; whether the supervisory authority is to \
         be consulted.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_draft_follows_the_configuration() {
        let of = |text: &str| markdown(&PrivacyFacts::of(&Config::parse(text).unwrap()));
        let quiet = of("[web]\nenabled = false\n[privacy]\ncontact = \"Moda, Milano\"\n");
        assert!(quiet.contains("Nothing leaves the device.") && quiet.contains("deleted after 90 days"), "{quiet}");
        assert!(quiet.contains("**Responsible:** Moda, Milano"), "{quiet}");
        let open = of("[mqtt]\nbroker = \"mqtt://ha.local\"\n[privacy]\nmask = [[0, 0, 1, 0.1]]\n");
        assert!(open.contains("| ha.local | `mqtt.broker` |") && open.contains("One part of the picture"), "{open}");
        assert!(!open.contains("pictures of the last garments"), "{open}");
        assert!(of("[privacy]\nstaff_crops = true\n").contains("pictures of the last garments"));
    }
}
