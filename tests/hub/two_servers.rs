//! Two `hub serve` at once on one database: whichever a mirror asks, and whichever counts how the fleet is.

use super::*;

/// A release is judged so often by each.
const SOAK: [&str; 2] = ["--soak-seconds", "1"];

/// A mirror as the hub knows it.
struct Member {
    bearer: String,
}

impl Member {
    /// Joins with a code that is brought to both hubs at once: one takes it.
    fn join(hub: &Hub, served: &[Served; 2], name: &str) -> Self {
        let code = done(&["hub", "enrol", "berlin", name, "--database", &hub.database]);
        let body = serde_json::json!({ "code": code }).to_string();
        let mut answers = thread::scope(|scope| {
            let ask = |one: &Served| http::post(&one.address, "/api/join", "", &body);
            let both = served.each_ref().map(|one| scope.spawn(move || ask(one)));
            both.map(|one| one.join().unwrap())
        });
        answers.sort_by_key(|answer| answer.status);
        assert_eq!([answers[0].status, answers[1].status], [200, 403], "{}", answers[1].text());
        Member { bearer: format!("Authorization: Bearer {}\r\n", answers[0].json()["token"].as_str().unwrap()) }
    }

    /// The release that it is given, by both hubs.
    fn release(&self, served: &[Served; 2]) -> String {
        let path = "/releases/berlin/release.json";
        let [one, other] = served.each_ref().map(|one| http::get_with(&one.address, path, &self.bearer));
        assert_eq!((one.status, &one.body), (other.status, &other.body));
        let etag = one.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        etag.trim_matches('"').to_owned()
    }

    fn report(&self, to: &Served, release: u64, reasons: &[&str]) {
        let beat = serde_json::json!({ "version": "0.1.0", "release": release, "reasons": reasons }).to_string();
        assert_eq!(http::post(&to.address, "/api/heartbeat", &self.bearer, &beat).status, 204);
    }
}

/// Both hubs judge a release at the same time, after `report`: the row is locked until both want to change it.
fn both_judge(hub: &Hub, release: u64, report: impl FnOnce()) {
    let hold = format!(
        "do $$ begin
           perform 1 from release where number = {release} for update;
           for round in 1..600 loop
             exit when (select count(*) from pg_stat_activity where wait_event_type = 'Lock') >= 2;
             perform pg_sleep(0.1), pg_stat_clear_snapshot();
           end loop;
           if (select count(*) from pg_stat_activity where wait_event_type = 'Lock') < 2 then
             raise 'they did not both want to change release {release}';
           end if;
         end $$"
    );
    let held = "select count(*) > 0 from pg_locks where relation = 'release'::regclass and mode = 'RowShareLock'";
    thread::scope(|scope| {
        let holder = scope.spawn(|| hub.postgres.sql("hub", &hold));
        while hub.postgres.sql("hub", held) == "f" {
            assert!(!holder.is_finished());
            thread::sleep(Duration::from_millis(20));
        }
        report();
        holder.join().unwrap();
    });
}

#[test]
fn two_hubs_serve_one_database_as_one() {
    let Some(hub) = Hub::with_release(2) else { return };
    let served = [0, 1].map(|_| Served::start(&hub, &SOAK));
    // Enrolled at one, a mirror follows the other.
    let (folder, _) = follower(&hub, &format!("{}/releases/berlin", served[1].url()));
    let code = done(&["hub", "enrol", "berlin", "real", "--database", &hub.database]);
    let config = folder.path("vetrina.toml");
    done(&["sync", "join", &served[0].url(), &code, "--config", &config]);
    refused(&["sync", "join", &served[1].url(), &code, "--config", &config], 8, "the code is none, was used");
    assert_eq!(once(&folder)["release"], 1);
    done(&["hub", "revoke", "real", "--database", &hub.database]);
    refused(&["sync", "once", "--config", &config], 8, "join the hub");

    let members: Vec<Member> = (0..8).map(|number| Member::join(&hub, &served, &format!("m{number}"))).collect();
    let state = |release: u64| {
        let query = format!("select share || coalesce(' ' || stopped, '') from release where number = {release}");
        hub.postgres.sql("hub", &query)
    };
    let noted = |words: &str| hub.count(&format!("audit where action = 'roll-out' and detail like '%{words}%'"));
    let publish = |price: &str| {
        hub.postgres.sql("hub", &format!("update offer set price = '{price}'"));
        json(&[&strs(&hub.publish_command("berlin"))[..], &["--share", "50"]].concat())["release"].clone()
    };
    // Half get it first, half of which report to one hub and half to the other; both hubs would widen it now.
    assert_eq!(publish("1 EUR"), 2);
    let (first, rest): (Vec<_>, Vec<_>) = members.iter().partition(|member| member.release(&served) == "2");
    assert!(!first.is_empty() && !rest.is_empty(), "{} and {}", first.len(), rest.len());
    assert!(rest.iter().all(|member| member.release(&served) == "1"));
    both_judge(&hub, 2, || {
        first.iter().enumerate().for_each(|(number, member)| member.report(&served[number % 2], 2, &[]));
    });
    wait(|| state(2) == "100");
    assert_eq!(noted("2: 100 percent"), 1, "it is widened once");
    assert!(members.iter().all(|member| member.release(&served) == "2"));

    // The next one makes mirrors unwell that report to one hub: it stops for both, once.
    assert_eq!(publish("2 EUR"), 3);
    both_judge(&hub, 3, || first.iter().for_each(|member| member.report(&served[1], 3, &["camera: gone"])));
    wait(|| state(3).contains("are not well"));
    assert!(state(3).starts_with("50 "), "{}", state(3));
    assert_eq!(noted("3: stopped"), 1);
    first.iter().for_each(|member| member.report(&served[0], 3, &[]));
    thread::sleep(Duration::from_secs(3));
    assert!(state(3).starts_with("50 "), "nobody goes on with it: {}", state(3));
    assert!(rest.iter().all(|member| member.release(&served) == "2"));
    // Who has it keeps it; who comes to it now gets the one before, whatever its share.
    assert!(first.iter().all(|member| member.release(&served) == "3"));
    let late: Vec<Member> = (0..8).map(|number| Member::join(&hub, &served, &format!("late{number}"))).collect();
    assert!(late.iter().all(|member| member.release(&served) == "2"));

    // One ends: the other serves on, and judges alone.
    let [one, other] = served;
    drop(one);
    assert_eq!(publish("3 EUR"), 4);
    first.iter().copied().chain(&late).for_each(|member| member.report(&other, 4, &[]));
    wait(|| state(4) == "100");
}

/// Until the hubs have seen to it.
#[track_caller]
fn wait(so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "timed out");
        thread::sleep(Duration::from_millis(100));
    }
}
