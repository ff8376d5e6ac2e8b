//! What is in flight at once: in all, of one provider, of its troubled targets.

use super::*;
use crate::ground::config::Adaptive;

/// How many are in flight, and how many were at most.
#[derive(Debug, Default)]
struct Gauge(Mutex<(usize, usize)>);

impl Gauge {
    async fn hold(&self, span: Duration) {
        {
            let mut gauge = self.0.lock().unwrap();
            gauge.0 += 1;
            gauge.1 = gauge.0.max(gauge.1);
        }
        sleep(span).await;
        self.0.lock().unwrap().0 -= 1;
    }

    fn most(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

fn finished_of(journal: &Mutex<Vec<ProbeEvent>>, wanted: &Target) -> usize {
    let journal = journal.lock().unwrap();
    let finished = journal.iter().filter_map(|event| match event {
        ProbeEvent::Finished { target, .. } => Some(target),
        _ => None,
    });
    finished.filter(|target| *target == wanted).count()
}

#[tokio::test(start_paused = true)]
async fn probes_in_flight_are_bounded_over_all_targets_and_of_a_provider() {
    for (in_flight_max, providers, most) in [(3, 1, 3), (16, 1, 4), (16, 3, 12), (16, 8, 16)] {
        let (mut deps, journal) = deps(None);
        deps.gates = Arc::new(Gates::new(in_flight_max));
        let gauge = &Gauge::default();
        let specs: Vec<_> =
            (0..40).map(|n| spec_of(&format!("p{}/m{n}", n % providers), None)).collect();
        let loops = specs.iter().map(|spec| {
            rounds(spec, Bell::every(10 * SECOND, 0.2), &deps, move || async move {
                gauge.hold(5 * SECOND).await;
                report(1)
            })
        });
        let all = futures_util::future::join_all(loops);
        assert!(timeout(600 * SECOND, all).await.is_err());
        assert_eq!(gauge.most(), most, "{in_flight_max}, {providers}");
        // Who comes first goes first: nobody is left behind its like. Providers of more targets
        // give each of them less.
        let counts: Vec<_> = specs.iter().map(|spec| finished_of(&journal, &spec.target)).collect();
        for provider in 0..providers {
            let of_one = || counts.iter().skip(provider).step_by(providers);
            let (least, most) = (of_one().min().unwrap(), of_one().max().unwrap());
            assert!(*least > 5 && most - least <= 3, "{in_flight_max}, {providers}: {counts:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_does_not_starve_the_others() {
    let (deps, journal) = deps(None);
    let hanging: Vec<_> = (0..30).map(|n| spec_of(&format!("hanging/m{n}"), None)).collect();
    let quick = spec_of("quick/m", None);
    let bell = || Bell::every(10 * SECOND, 0.0);
    let hang = || async {
        sleep(45 * SECOND).await;
        ProbeReport { class: Class::Timeout, ..report(1) }
    };
    let loops = hanging.iter().map(|spec| rounds(spec, bell(), &deps, hang));
    let all = futures_util::future::join_all(loops);
    let quick_loop = rounds(&quick, bell(), &deps, || async { report(1) });
    let both = async { tokio::join!(all, quick_loop) };
    assert!(timeout(1_000 * SECOND, both).await.is_err());
    assert!((99..=101).contains(&finished_of(&journal, &quick.target)));
}

#[tokio::test(start_paused = true)]
async fn troubled_targets_of_a_provider_take_turns_and_healthy_ones_do_not_wait() {
    let (mut deps, journal) = deps(None);
    deps.adaptive = Some(Adaptive::default());
    let troubled: Vec<_> = (0..10).map(|n| spec(&format!("troubled{n}"), None)).collect();
    let (healthy, gauge) = (spec("healthy", None), &Gauge::default());
    let bell = || Bell::every(60 * SECOND, 0.2);
    for spec in &troubled {
        deps.standings.of(&spec.target).set_troubled(true);
    }
    let loops = troubled.iter().map(|spec| {
        rounds(spec, bell(), &deps, move || async move {
            gauge.hold(20 * SECOND).await;
            ProbeReport { class: Class::Timeout, ..report(1) }
        })
    });
    let all = futures_util::future::join_all(loops);
    let healthy_loop = rounds(&healthy, bell(), &deps, || async { report(1) });
    let both = async { tokio::join!(all, healthy_loop) };
    assert!(timeout(2_000 * SECOND, both).await.is_err());
    assert_eq!(gauge.most(), 1, "one request at a time");
    assert!((29..=40).contains(&finished_of(&journal, &healthy.target)));
    for spec in &troubled {
        let finished = finished_of(&journal, &spec.target);
        assert!((9..=10).contains(&finished), "{}: {finished}", spec.target);
    }
}
