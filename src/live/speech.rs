//! Says aloud what was found, for shoppers who see little: the product's title and where it hangs, by speech-dispatcher's `spd-say`.
//! Off unless configured. It never waits for the voice.

use crate::display::layout::sure_text;
use crate::display::scene::Scene;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Between the beginnings of two sentences at least.
const PAUSE: Duration = Duration::from_secs(6);
/// The same is not said again for this long.
const AGAIN: Duration = Duration::from_secs(60);
/// A program that takes longer hangs, and is ended.
const PATIENCE: Duration = Duration::from_secs(30);

/// Speaks, a sentence at a time.
#[derive(Debug)]
pub struct Speaker {
    program: PathBuf,
    /// What was said, and when.
    said: Vec<(String, Duration)>,
    child: Option<(Child, Duration)>,
    /// The program could not be started: it is not tried again.
    is_mute: bool,
}

impl Default for Speaker {
    fn default() -> Self {
        Speaker::with("spd-say".into())
    }
}

impl Speaker {
    /// Speaks by this program, which takes the arguments of `spd-say`.
    fn with(program: PathBuf) -> Self {
        Speaker { program, said: Vec::new(), child: None, is_mute: false }
    }

    /// Says what `scene` shows, where that is new. Times are the program's clock.
    pub fn tell(&mut self, scene: &Scene, now: Duration) {
        self.reap(now);
        let Some(sentence) = sentence(scene).filter(|_| !self.is_mute) else { return };
        self.said.retain(|(_, at)| now.saturating_sub(*at) < AGAIN);
        let is_near = self.said.last().is_some_and(|(_, at)| now.saturating_sub(*at) < PAUSE);
        if is_near || self.child.is_some() || self.said.iter().any(|(said, _)| *said == sentence) {
            return;
        }
        let mut command = Command::new(&self.program);
        command.args(["--application-name", "vetrina", "--language", scene.words.language().tag(), "--", &sentence]);
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => self.child = Some((child, now)),
            Err(error) => {
                self.is_mute = true;
                let cure = match error.kind() {
                    ErrorKind::NotFound => "; install speech-dispatcher, or set screen.audio = false",
                    _ => "",
                };
                log::warn!("the mirror cannot speak: cannot start {}: {error}{cure}", self.program.display());
            }
        }
        self.said.push((sentence, now));
    }

    /// Takes leave of a program that has ended, and ends one that hangs.
    fn reap(&mut self, now: Duration) {
        let Some((child, since)) = &mut self.child else { return };
        match child.try_wait() {
            Ok(None) if now.saturating_sub(*since) < PATIENCE => {}
            Ok(Some(status)) => {
                if !status.success() {
                    log::warn!("the mirror cannot speak: {} ended with {status}", self.program.display());
                }
                self.child = None;
            }
            Ok(None) | Err(_) => self.end(),
        }
    }

    fn end(&mut self) {
        if let Some((mut child, _)) = self.child.take() {
            // It may just have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.end();
    }
}

/// What is said of the product with the large card: "You are wearing this: Linen shirt. You find it here: Wall 3." `None` where no
/// product has it.
fn sentence(scene: &Scene) -> Option<String> {
    if scene.recording || scene.enrol.is_some() {
        return None;
    }
    let matched = scene.matches.iter().find(|matched| Some(matched.garment) == scene.featured)?;
    let card = matched.cards.get(scene.chosen)?;
    let words = &scene.words;
    let sure = words.say(sure_text(card));
    let place = card.location.as_ref().map(|place| format!(" {}: {place}.", words.say("find")));
    Some(format!("{sure}: {}.{}", card.title, place.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::scene::{Card, GarmentMatches};
    use std::os::unix::fs::PermissionsExt;

    const SECOND: Duration = Duration::from_secs(1);

    fn scene(title: &str) -> Scene {
        let card = Card { title: title.into(), location: Some("Wall 3".into()), likely: true, ..Card::default() };
        let matches = vec![GarmentMatches { garment: 0, cards: vec![card] }];
        Scene { matches, featured: Some(0), ..Scene::default() }
    }

    /// A program that writes its arguments, a line each, into `said`.
    fn speaker(folder: &tempfile::TempDir) -> Speaker {
        let program = folder.path().join("spd-say");
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >> {}\n", folder.path().join("said").display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        Speaker::with(program)
    }

    fn ended(speaker: &mut Speaker) {
        if let Some((mut child, _)) = speaker.child.take() {
            assert!(child.wait().unwrap().success());
        }
    }

    #[test]
    fn a_product_is_said_once_and_the_next_one_after_a_pause() {
        let folder = tempfile::tempdir().unwrap();
        let mut speaker = speaker(&folder);
        for (title, second) in
            [("Linen shirt", 0), ("Chino", 3), ("Linen shirt", 10), ("Chino", 20), ("Linen shirt", 70)]
        {
            speaker.tell(&scene(title), second * SECOND);
            ended(&mut speaker);
        }
        let said = std::fs::read_to_string(folder.path().join("said")).unwrap();
        let sentences: Vec<&str> = said.lines().filter(|line| line.contains(':')).collect();
        let expected = ["Linen shirt", "Chino", "Linen shirt"];
        assert_eq!(
            sentences,
            expected.map(|title| format!("You are wearing this: {title}. You find it here: Wall 3."))
        );
        assert!(said.starts_with("--application-name\nvetrina\n--language\nen\n--\n"), "{said}");
    }

    #[test]
    fn nothing_is_said_of_nobody_nor_while_something_else_is_shown() {
        assert_eq!(sentence(&Scene { featured: None, ..scene("Chino") }), None);
        assert_eq!(sentence(&Scene { recording: true, ..scene("Chino") }), None);
        assert_eq!(sentence(&Scene { chosen: 1, ..scene("Chino") }), None);
    }

    #[test]
    fn a_mirror_without_the_program_stays_silent() {
        let mut speaker = Speaker::with("/nowhere/spd-say".into());
        speaker.tell(&scene("Chino"), SECOND);
        assert!(speaker.is_mute && speaker.child.is_none());
    }
}
