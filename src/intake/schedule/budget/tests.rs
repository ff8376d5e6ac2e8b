use std::sync::Barrier;

use super::*;

fn day(number: u64) -> Timestamp {
    Timestamp::from_millis(number * DAY_MS + 5)
}

fn provider(name: &str) -> Provider {
    Provider::new(name).unwrap()
}

fn whole(usd_per_day: Option<f64>) -> Budget {
    Budget::new(BudgetConfig::of(usd_per_day))
}

/// A dollar a day, a quarter of it for `dear`.
fn shared() -> Budget {
    let mut limits = BudgetConfig::of(Some(1.0));
    limits.per_provider.insert(provider("dear"), 0.25);
    Budget::new(limits)
}

#[test]
fn money_is_set_aside_before_it_is_spent() {
    let (budget, p) = (whole(Some(1.0)), provider("p"));
    let first = budget.reserve(day(1), &p, 0.5).unwrap();
    let second = budget.reserve(day(1), &p, 0.5).unwrap();
    assert!(budget.reserve(day(1), &p, 0.25).is_err());
    budget.settle(first, 0.125);
    assert!(budget.reserve(day(1), &p, 0.25).is_ok());
    budget.settle(second, 9.0);
    assert!(budget.reserve(day(1), &p, 0.001).is_err());
}

#[test]
fn a_new_day_has_new_money_and_a_clock_stepping_back_does_not() {
    let (budget, p) = (whole(Some(1.0)), provider("p"));
    let late = budget.reserve(day(1), &p, 1.0).unwrap();
    assert!(budget.reserve(day(1), &p, 1.0).is_err());
    assert!(budget.view(day(1)).exhausted);
    let fresh = budget.reserve(day(2), &p, 1.0);
    assert!(fresh.is_ok());
    budget.settle(late, 0.0);
    assert!(!budget.view(day(2)).exhausted);
    assert!(budget.reserve(day(2), &p, 0.5).is_err());
    assert!(budget.reserve(day(1), &p, 0.5).is_err());
    assert_eq!(budget.view(day(1)).resets_at, Timestamp::from_millis(3 * DAY_MS));
}

#[test]
fn a_new_limit_does_not_give_back_what_is_spent() {
    let (budget, p) = (whole(None), provider("p"));
    let spent = budget.reserve(day(1), &p, 1.0);
    assert!(spent.is_ok());
    for (limit, left) in [(Some(0.5), false), (Some(1.0), false), (Some(2.0), true)] {
        budget.set_limits(BudgetConfig::of(limit));
        assert!(!budget.view(day(1)).exhausted, "nothing was refused by {limit:?} yet");
        assert_eq!(budget.reserve(day(1), &p, 0.5).is_ok(), left, "{limit:?}");
        assert_eq!(budget.view(day(1)).exhausted, !left, "{limit:?}");
    }
}

#[test]
fn no_limit_is_no_limit_and_zero_allows_nothing() {
    let p = provider("p");
    assert!(whole(None).reserve(day(1), &p, 1e9).is_ok());
    assert!(whole(Some(0.0)).reserve(day(1), &p, 1e-9).is_err());
    assert!(whole(Some(0.0)).reserve(day(1), &p, 0.0).is_ok(), "what is free always fits");
}

#[test]
fn a_provider_stops_at_its_own_limit_and_everyone_at_the_whole() {
    let (budget, dear, other) = (shared(), provider("dear"), provider("other"));
    let spent = budget.reserve(day(1), &dear, 0.25);
    assert!(spent.is_ok());
    assert!(budget.reserve(day(1), &dear, 0.125).is_err());
    let view = budget.view(day(1));
    assert_eq!((view.exhausted, view.providers[0].exhausted), (false, true));
    let others = budget.reserve(day(1), &other, 0.75);
    assert!(others.is_ok());
    assert!(budget.reserve(day(1), &other, 0.125).is_err());
    let view = budget.view(day(1));
    assert_eq!((view.exhausted, view.spent_usd), (true, 1.0));
    let [of_dear] = &view.providers[..] else { panic!("{view:?}") };
    assert_eq!((of_dear.usd_per_day, of_dear.spent_usd), (0.25, 0.25));
    assert_eq!(of_dear.provider, dear);
}

#[test]
fn what_one_scope_refuses_is_not_taken_from_the_other() {
    let (budget, dear) = (shared(), provider("dear"));
    assert!(budget.reserve(day(1), &dear, 0.5).is_err());
    let view = budget.view(day(1));
    assert_eq!((view.spent_usd, view.providers[0].spent_usd), (0.0, 0.0));
}

#[test]
fn money_set_aside_in_vain_ends_the_exhaustion() {
    let (budget, p) = (whole(Some(1.0)), provider("p"));
    let first = budget.reserve(day(1), &p, 0.75).unwrap();
    assert!(budget.reserve(day(1), &p, 0.5).is_err());
    assert!(budget.view(day(1)).exhausted);
    budget.settle(first, 0.25);
    assert!(!budget.view(day(1)).exhausted);
    // A dear probe that does not fit is left out, however many cheap ones do.
    assert!(budget.reserve(day(1), &p, 0.875).is_err());
    let cheap = budget.reserve(day(1), &p, 0.125);
    assert!(cheap.is_ok() && budget.view(day(1)).exhausted);
}

#[test]
fn many_at_once_never_overspend_either_limit() {
    const PROBES: usize = 64;
    let budget = shared();
    let gate = Barrier::new(PROBES);
    let granted: Vec<bool> = std::thread::scope(|scope| {
        let ask = |n: usize| {
            let (budget, gate) = (&budget, &gate);
            scope.spawn(move || {
                let provider = provider(if n.is_multiple_of(2) { "dear" } else { "other" });
                gate.wait();
                budget.reserve(day(1), &provider, 0.0625).is_ok()
            })
        };
        let asking: Vec<_> = (0..PROBES).map(ask).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let of = |parity| granted.iter().skip(parity).step_by(2).filter(|granted| **granted).count();
    assert!(of(0) <= 4, "{}", of(0));
    assert_eq!(of(0) + of(1), 16);
    assert_eq!(budget.view(day(1)).spent_usd, 1.0);
}

#[test]
fn a_day_is_restored_on_that_day_only_and_never_as_a_gain() {
    let (budget, dear) = (shared(), provider("dear"));
    let spent = budget.reserve(day(5), &dear, 0.25);
    assert!(spent.is_ok());
    let kept = budget.day(day(5));
    assert_eq!((kept.day, kept.spent_usd, kept.by_provider[&dear]), (5, 0.25, 0.25));
    for (now, has_money) in [(4, true), (5, false), (6, true)] {
        let fresh = shared();
        fresh.restore(kept.clone(), day(now));
        assert_eq!(fresh.reserve(day(now), &dear, 0.25).is_ok(), has_money, "{now}");
    }
    let nonsense = BudgetDay { spent_usd: f64::NAN, ..kept.clone() };
    for kept in [nonsense, BudgetDay { spent_usd: -9.0, ..kept.clone() }, kept.clone(), kept] {
        budget.restore(kept, day(5));
        assert_eq!(budget.view(day(5)).spent_usd, 0.25);
    }
}

#[test]
fn a_shortage_says_whether_there_will_be_money() {
    let (budget, dear, other) = (shared(), provider("dear"), provider("other"));
    let short = |provider: &Provider, usd| budget.reserve(day(1), provider, usd).unwrap_err();
    assert_eq!(short(&other, 2.0), Shortage::NeverFits);
    assert_eq!(short(&dear, 0.5), Shortage::NeverFits, "of its own limit");
    let in_flight = budget.reserve(day(1), &dear, 0.25).unwrap();
    assert_eq!(short(&dear, 0.125), Shortage::SetAside);
    assert_eq!(short(&dear, 0.5), Shortage::NeverFits);
    assert_eq!(short(&other, 1.0), Shortage::SetAside);
    budget.settle(in_flight, 0.25);
    assert_eq!(short(&dear, 0.125), Shortage::Spent);
    assert_eq!(short(&other, 1.0), Shortage::Spent);
    // What was given up stays charged.
    drop(budget.reserve(day(1), &other, 0.75));
    assert_eq!(short(&other, 0.125), Shortage::Spent);
    // What is in flight over midnight does not count for the new day.
    let late = budget.reserve(day(2), &other, 1.0).unwrap();
    drop(budget.reserve(day(3), &other, 1.0));
    assert_eq!(budget.reserve(day(3), &other, 0.5), Err(Shortage::Spent));
    budget.settle(late, 0.0);
}

#[test]
fn the_log_hears_once_a_day_of_each_limit() {
    let budget = shared();
    let (dear, other) = (provider("dear"), provider("other"));
    let news = |day_number, provider: &Provider, usd| {
        let (_, news) = budget.book().reserve(day(day_number), provider, usd);
        let told = news.into_iter().flatten();
        told.map(|news| news.provider.map(|name| name.to_string())).collect::<Vec<_>>()
    };
    let of_dear = Some("dear".to_owned());
    for (day_number, provider, usd, expected) in [
        (1, &dear, 0.25, vec![]),
        (1, &dear, 0.25, vec![of_dear.clone()]),
        (1, &dear, 0.25, vec![]),
        (1, &other, 2.0, vec![None]),
        (1, &other, 2.0, vec![]),
        (2, &dear, 2.0, vec![None, of_dear.clone()]),
        (2, &dear, 2.0, vec![]),
        // That no day has so much is other news than that this one has no more.
        (2, &dear, 0.25, vec![]),
        (2, &dear, 0.25, vec![of_dear.clone()]),
    ] {
        assert_eq!(news(day_number, provider, usd), expected, "{day_number} {provider} {usd}");
    }
}
