//! The render stage: draws the newest picture with the newest boxes and matches, at the panel's rate.

use super::stage::StageContext;
use crate::clock;
use crate::display::canvas::Canvas;
use crate::display::draw::Painter;
use crate::display::layout::Touched;
use crate::display::open::{PanelKind, PanelSettings, open};
use crate::display::panel::DisplayPanel;
use crate::display::scene::{EnrolGarment, EnrolNotice, EnrolStep, Scene, StatusLine};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Frame;
use crate::language::Language;
use crate::live::Links;
use crate::live::control::{Phase, ShopperAction, StageEnd};
use crate::live::enrol_desk::{EnrolOrder, EnrolPhase, EnrolState};
use crate::live::events::Happening;
use crate::live::shoppers::{NamedProduct, SeenGarment};
use crate::live::speech::Speaker;
use crate::pipeline::enrol::ViewsTaken;
use crate::pipeline::matcher::{Match, Verdict};
use crate::pipeline::presenter::Presenter;
use crate::pipeline::shown_products::{ShownGarment, is_garment, shown_products};
use crate::pipeline::track_matches::MatchesByTrack;
use crate::pipeline::tracking::TrackUpdate;
use crate::seam::{Region, TrackId};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use std::sync::Arc;
use std::time::Duration;

/// An older frame is not shown; the screen says that the camera is away.
const STALE: Duration = Duration::from_secs(2);
/// Maximum time between redraws: the watchdog needs them, and a window stays responsive.
const AT_LEAST: Duration = Duration::from_millis(500);

/// After a power cut the mirror may start before the screen's driver: how long to retry, and how often.
const SCREEN_COMES: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Content of the screen.
#[derive(Default)]
struct ScreenContent {
    frame: Option<Frame>,
    tracks: Option<Arc<TrackUpdate>>,
    matches: Arc<MatchesByTrack>,
}

/// What is new since the last picture.
#[derive(Clone, Copy, Default)]
struct Fresh {
    frame: bool,
    any: bool,
}

/// Runs until cancelled, or until the panel is closed.
pub fn run(context: &StageContext, settings: &PanelSettings, rate: u32) -> Result<StageEnd> {
    let (links, tick) = (&context.links, Duration::from_secs(1) / rate.max(1));
    let mut panel = open_in_time(context, settings)?;
    let mut look = links.look();
    let mut presenter = Presenter::default();
    let mut painter = Painter::with((*look).clone())?;
    presenter.leave_out(undrawable(links, &painter));
    // A touch means what the shopper saw.
    let mut drawn_scene: Option<Scene> = None;
    let mut speaker = Speaker::default();
    let mut canvas = Canvas::new(panel.size());
    // A previous render stage may have consumed the newest matches.
    let mut shown = ScreenContent { matches: links.status.newest_matches.get(), ..ScreenContent::default() };
    let mut news = Fresh { any: true, ..Fresh::default() };
    let mut last = Duration::ZERO;
    let mut next = links.clock.now();
    while !links.clock.wait_until(context.token(), next) {
        next = (next + tick).max(links.clock.now());
        shown.take_in(links, &mut news);
        let wanted = links.look();
        if !Arc::ptr_eq(&look, &wanted) {
            (look, news.any) = (wanted, true);
            match Painter::with((*look).clone()) {
                Ok(new) => {
                    presenter.leave_out(undrawable(links, &new));
                    painter = new;
                }
                Err(fault) => log::error!("the screen keeps its look: {fault}"),
            }
        }
        let now = links.clock.now();
        while let Some(action) = links.actions.take_now() {
            news.any |= act(action, &mut presenter, links, now, |x, y| {
                let (scene, size) = (drawn_scene.as_ref()?, canvas.size());
                painter.layout(scene, size).touched(x * size.width as f32, y * size.height as f32)
            });
        }
        let turned = set_dark(links, now);
        let dark = links.control.is_dark();
        let due = turned || news.any && !dark;
        if !due && now.saturating_sub(last) < AT_LEAST {
            context.heartbeat();
            continue;
        }
        let on_screen = shown.garments(links, now);
        links.observe(now, &shown.seen(&on_screen, presenter.chosen(), links, now));
        if canvas.size() != panel.size() {
            canvas = Canvas::new(panel.size());
        }
        if dark {
            canvas.fill(Rgb888::BLACK);
        } else if panel.is_seen() {
            painter.set_diagonal(panel.diagonal());
            let scene = shown.scene(&mut presenter, &on_screen, links, now);
            painter.draw(&scene, &mut canvas);
            if links.pipeline().audio {
                speaker.tell(&scene, now);
            }
            drawn_scene = Some(scene);
        }
        let drawn = links.clock.now();
        panel.present(&canvas)?;
        links.status.screen_fault.set(panel.fault().map(Fault::to_string));
        last = links.clock.now();
        record(links, &shown, news, [now, drawn, last]);
        context.heartbeat();
        news = Fresh::default();
        if !panel.is_open() {
            return Ok(StageEnd::Finished);
        }
    }
    Ok(StageEnd::Cancelled)
}

/// Does what a shopper wants. `touched` finds what is shown at a place, in shares of the panel. True where the screen changes.
fn act(
    action: ShopperAction,
    presenter: &mut Presenter,
    links: &Links,
    now: Duration,
    touched: impl FnOnce(f32, f32) -> Option<Touched>,
) -> bool {
    let is_enrolling = enrol_notice(&links.enrol.state.get(), true).is_some_and(|notice| notice.may_change);
    let next_region = |garment: usize| {
        links.enrol.orders.put(EnrolOrder::NextRegion(garment));
    };
    match action {
        // Nothing else can be chosen then.
        ShopperAction::NextGarment | ShopperAction::PreviousGarment | ShopperAction::NextProduct if is_enrolling => {
            next_region(0);
        }
        ShopperAction::NextGarment => presenter.choose_next(now, true),
        ShopperAction::PreviousGarment => presenter.choose_next(now, false),
        ShopperAction::NextProduct => presenter.choose_product(now),
        ShopperAction::Touch { x, y } => match touched(x, y) {
            Some(Touched::Garment(garment)) => presenter.choose(now, garment),
            Some(Touched::Enrolled(garment)) => next_region(garment),
            None => return false,
        },
        ShopperAction::CallStaff => {
            presenter.call_staff(now);
            links.events.publish(Happening::StaffCalled);
        }
        ShopperAction::ToggleOperator => presenter.toggle_operator(),
    }
    true
}

/// The screen's languages that have letters in no font; logged.
fn undrawable(links: &Links, painter: &Painter) -> Vec<Language> {
    let mut left_out = Vec::new();
    for words in links.pipeline().languages {
        let language = words.language();
        if let Err(fault) = painter.fonts().require(language) {
            log::warn!("{fault}");
            left_out.push(language);
        }
    }
    left_out
}

/// Opens the panel. Retries for a while if a screen of its own is not ready yet.
fn open_in_time(context: &StageContext, settings: &PanelSettings) -> Result<Box<dyn DisplayPanel>> {
    let links = &context.links;
    let until = links.clock.now() + SCREEN_COMES;
    loop {
        let fault = match open(settings) {
            Ok(panel) => {
                links.status.screen_fault.set(None);
                return Ok(panel);
            }
            Err(fault) => fault,
        };
        let may_come = matches!(settings.kind, PanelKind::Kms(_)) && fault.kind() == Kind::Unavailable;
        links.status.screen_fault.set(Some(fault.to_string()));
        context.heartbeat();
        if !may_come || links.clock.now() >= until || links.clock.wait(context.token(), LOOK_AGAIN) {
            return Err(fault);
        }
    }
}

/// Updates whether the screen is dark. Returns whether that changed.
fn set_dark(links: &Links, now: Duration) -> bool {
    let (control, settings) = (&links.control, links.blank());
    let minute = settings.hours.map_or(0, |_| clock::minute_of_day());
    // A starting mirror shows its start screen.
    let running = control.phase() == Phase::Running;
    let dark = running && settings.is_dark(minute, control.unseen(now), !control.is_camera_away());
    let turned = dark != control.is_dark();
    if turned {
        control.set_dark(dark);
        log::info!("the screen is {}", if dark { "dark" } else { "lit" });
    }
    turned
}

/// Records the picture and its times.
fn record(links: &Links, shown: &ScreenContent, news: Fresh, [begun, drawn, presented]: [Duration; 3]) {
    links.status.presented.count();
    links.control.presented(presented, news.frame);
    links.status.stages.add("draw", drawn.saturating_sub(begun));
    links.status.stages.add("present", presented.saturating_sub(drawn));
    if let Some(frame) = shown.frame.as_ref().filter(|_| news.frame && !links.control.is_dark()) {
        links.status.stages.add("capture to panel", presented.saturating_sub(frame.meta.captured));
    }
}

impl ScreenContent {
    fn take_in(&mut self, links: &Links, news: &mut Fresh) {
        if let Some(frame) = links.to_render.take_now() {
            self.frame = Some(frame);
            (news.frame, news.any) = (true, true);
        }
        let is_newer = |new: &Arc<TrackUpdate>| self.tracks.as_ref().is_none_or(|old| old.generation <= new.generation);
        if let Some(tracks) = links.track_updates.take_now().filter(is_newer) {
            self.tracks = Some(tracks);
            news.any = true;
        }
        if let Some(matches) = links.matches.take_now() {
            self.matches = matches;
            news.any = true;
        }
    }

    /// Tracks that are fresh enough to be shown.
    fn fresh_tracks(&self, now: Duration) -> Option<&TrackUpdate> {
        self.tracks.as_deref().filter(|tracks| now.saturating_sub(tracks.meta.captured) <= STALE)
    }

    /// The garments on the screen with their products.
    fn garments(&self, links: &Links, now: Duration) -> Vec<ShownGarment<'_>> {
        let tracked = self.fresh_tracks(now).map_or(&[][..], |tracks| &tracks.garments);
        shown_products(tracked, &self.matches, &links.pipeline())
    }

    /// All tracked garments and what is on the screen of them, for the events.
    fn seen(
        &self,
        on_screen: &[ShownGarment],
        chosen: Option<(TrackId, usize)>,
        links: &Links,
        now: Duration,
    ) -> Vec<SeenGarment> {
        let tracked = self.fresh_tracks(now).map_or(&[][..], |tracks| &tracks.garments);
        let seen = tracked.iter().map(|garment| {
            let found = self.matches.get(&garment.track).filter(|found| is_garment(Some(found)));
            let shown = on_screen.iter().find(|shown| shown.garment.track == garment.track);
            let shown = shown.filter(|_| !links.control.is_dark());
            // The best has the garment's card or tile; beside it stands the one that the shopper has turned to.
            let turned_to = chosen.filter(|(track, _)| *track == garment.track).map(|(_, product)| product);
            let products = shown.and_then(|shown| shown.products.as_deref()).unwrap_or_default();
            let on_cards = products.iter().enumerate().filter(|(place, _)| *place == 0 || Some(*place) == turned_to);
            SeenGarment {
                track: garment.track,
                bounds: garment.bounds,
                region: Region::of_class(&garment.label.replace(' ', "_")),
                gathered: garment.gathered,
                answered: found.is_some(),
                best: found.and_then(|found| found.accepted().first()).map(named),
                shown: on_cards.map(|(_, found)| named(found)).collect(),
            }
        });
        seen.collect()
    }

    fn scene(&self, presenter: &mut Presenter, on_screen: &[ShownGarment], links: &Links, now: Duration) -> Scene {
        let status = &links.status;
        let fresh = |captured: Duration| now.saturating_sub(captured) <= STALE;
        let frame = self.frame.as_ref().filter(|frame| fresh(frame.meta.captured));
        // Boxes of another camera do not fit this one's picture.
        let is_of = |tracks: &TrackUpdate| frame.is_some_and(|frame| frame.meta.source == tracks.meta.source);
        let tracks = self.fresh_tracks(now).filter(|tracks| is_of(tracks));
        let starting = links.control.phase() == Phase::Starting;
        let line = StatusLine {
            text: status.building.get().unwrap_or_else(|| status.summary.get()),
            frames_per_second: tracks.and_then(|_| status.rate(now)),
            warning: status.reasons().into_iter().next().filter(|_| !starting || frame.is_none()),
        };
        let on_screen = if tracks.is_some() { on_screen } else { &[] };
        let camera = frame.map(|frame| frame.picture.clone());
        let scene = presenter.scene(now, &links.pipeline(), camera, on_screen, line);
        let enrol = enrol_notice(&links.enrol.state.get(), links.pipeline().input);
        Scene { enrol, ..scene }
    }
}

/// What the screen says of an enrolment that is under way. `input`: there are keys or a touch screen.
fn enrol_notice(state: &EnrolState, input: bool) -> Option<EnrolNotice> {
    let good = state.garments.iter().map(|garment| garment.good).min().unwrap_or(0);
    let (step, count) = match state.phase {
        EnrolPhase::Asking => (EnrolStep::Consent, 0),
        EnrolPhase::Countdown => (EnrolStep::StepBack, state.seconds_left as usize),
        EnrolPhase::Watching | EnrolPhase::Storing => (EnrolStep::Turn, good),
        EnrolPhase::Idle | EnrolPhase::Done | EnrolPhase::Failed => return None,
    };
    let wanted = state.garments.iter().map(|garment| garment.wanted).max().unwrap_or(0);
    let worn = |one: &ViewsTaken| EnrolGarment { title: one.title.clone(), region: one.region };
    let garments = state.garments.iter().map(worn).collect();
    Some(EnrolNotice { step, garments, count, wanted, may_change: input && step != EnrolStep::Turn })
}

fn named(found: &Match) -> NamedProduct {
    NamedProduct {
        product: found.product.group().to_owned(),
        score: found.score,
        likely: found.verdict == Verdict::Likely,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SimulatedClock};
    use crate::config::Config;
    use crate::frame::{FrameMeta, Picture};
    use crate::geometry::{Rect, Size};
    use crate::pipeline::tracking::TrackedGarment;
    use crate::seam::TrackId;
    use std::path::Path;

    #[test]
    fn boxes_of_another_camera_or_of_long_ago_are_not_drawn() {
        let clock = Arc::new(SimulatedClock::default());
        let links = Links::new(&Config::default().live(Path::new("model")), clock.clone());
        clock.advance(Duration::from_secs(60));
        let meta = |source, captured| FrameMeta { source, sequence: 0, captured };
        let track = TrackId { generation: 1, number: 0 };
        let (bounds, label) = (Rect::new(9.0, 9.0, 30.0, 40.0), "skirt".to_owned());
        let garment = TrackedGarment { track, bounds, is_seen: true, class: 0, label, gathered: 1, wanted: 10 };
        let picture = Arc::new(Picture::filled(Size::new(64, 48), [9, 9, 9]));
        let boxes = |source: u32, age: Duration| {
            let now = clock.now();
            let frame = Frame { meta: meta(2, now), picture: picture.clone() };
            let tracks = TrackUpdate { meta: meta(source, now - age), generation: 1, garments: vec![garment.clone()] };
            let content = ScreenContent { frame: Some(frame), tracks: Some(Arc::new(tracks)), ..Default::default() };
            let on_screen = content.garments(&links, now);
            content.scene(&mut Presenter::default(), &on_screen, &links, now).garments.len()
        };
        assert_eq!(boxes(2, Duration::ZERO), 1);
        assert_eq!(boxes(1, Duration::ZERO), 0);
        assert_eq!(boxes(2, STALE + Duration::from_millis(1)), 0);
    }

    #[test]
    fn touch_and_keys_change_where_an_enrolled_garment_is_worn() {
        let links = Links::new(&Config::default().live(Path::new("model")), Arc::new(SimulatedClock::default()));
        let orders = |phase, action, touched: Option<Touched>| {
            links.enrol.state.set(EnrolState { phase, ..EnrolState::default() });
            act(action, &mut Presenter::default(), &links, Duration::ZERO, |_, _| touched);
            std::iter::from_fn(|| links.enrol.orders.take_now()).collect::<Vec<_>>()
        };
        let touch = ShopperAction::Touch { x: 0.5, y: 0.5 };
        let next = |garment| vec![EnrolOrder::NextRegion(garment)];
        assert_eq!(orders(EnrolPhase::Asking, touch, Some(Touched::Enrolled(1))), next(1));
        assert_eq!(orders(EnrolPhase::Asking, touch, None), []);
        assert_eq!(orders(EnrolPhase::Idle, touch, Some(Touched::Garment(1))), []);
        assert_eq!(orders(EnrolPhase::Asking, ShopperAction::NextGarment, None), next(0));
        assert_eq!(orders(EnrolPhase::Countdown, ShopperAction::NextProduct, None), next(0));
        assert_eq!(orders(EnrolPhase::Watching, ShopperAction::NextProduct, None), []);
        assert_eq!(orders(EnrolPhase::Countdown, ShopperAction::CallStaff, None), []);
    }

    #[test]
    fn boxes_of_an_ended_tracker_do_not_replace_those_of_the_next() {
        let clock = Arc::new(SimulatedClock::default());
        let links = Links::new(&Config::default().live(Path::new("model")), clock.clone());
        let meta = FrameMeta { source: 1, sequence: 0, captured: clock.now() };
        let mut content = ScreenContent::default();
        let mut shown_after = |generation| {
            let mut news = Fresh::default();
            links.track_updates.put(Arc::new(TrackUpdate { meta, generation, garments: Vec::new() }));
            content.take_in(&links, &mut news);
            (content.tracks.as_ref().map(|tracks| tracks.generation), news.any)
        };
        assert_eq!(shown_after(1), (Some(1), true));
        assert_eq!(shown_after(2), (Some(2), true));
        assert_eq!(shown_after(1), (Some(2), false), "the stage that was replaced finishes its last frame");
    }
}
