//! The simulator's own endpoints: the ledger to compare with, the weather to change.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::super::dialect::Dialect;
use super::super::node::{Node, Placed, Problem};
use super::super::scenario::Reader;
use super::super::weather::Weather;
use super::{Stage, read, response};
use crate::domain::target::{Model, Provider, Target};

pub(super) async fn ledger(stage: State<Stage>) -> Response {
    let rows = stage.fleet.ledger();
    let total: u64 = rows.iter().map(|row| row.count).sum();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "provider": row.provider.as_str(),
                "model": row.model.as_str(),
                "attempt": row.attempt.as_str(),
                "class": row.class.as_str(),
                "code": row.code,
                "count": row.count,
            })
        })
        .collect();
    answer(200, &json!({"total": total, "rows": rows}))
}

pub(super) async fn reset_ledger(stage: State<Stage>) -> Response {
    stage.fleet.reset_ledger();
    answer(200, &json!({"total": 0, "rows": []}))
}

pub(super) async fn weather(stage: State<Stage>) -> Response {
    let targets: Vec<_> = stage
        .fleet
        .traffic()
        .into_iter()
        .filter_map(|(target, rate)| {
            let mut object = described(&target, &stage.fleet.weather(&target)?);
            object["requests_per_second"] = json!(rate);
            Some(object)
        })
        .collect();
    answer(200, &json!({"exact": stage.fleet.is_exact(), "targets": targets}))
}

/// Changes some settings of one model: `{"provider", "model", "overloaded": 0.3, …}`.
pub(super) async fn set_weather(stage: State<Stage>, body: Body) -> Response {
    let Ok(bytes) = read(body).await else {
        return error(413, "body_too_large", "the body is too large or too slow");
    };
    let (target, settings) = match change(&bytes) {
        Ok(change) => change,
        Err(problems) => return invalid(&problems),
    };
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, *value)).collect();
    match stage.fleet.change_weather(&target, |weather| weather.changed(&settings)) {
        Err(unknown) => error(404, "unknown_target", &unknown.to_string()),
        Ok(Err(errors)) => {
            let message: Vec<_> = errors.iter().map(ToString::to_string).collect();
            error(400, "invalid_weather", &message.join("; "))
        }
        Ok(Ok(weather)) => answer(200, &described(&target, &weather)),
    }
}

pub(super) async fn not_found() -> Response {
    let paths = Dialect::ALL.into_iter().flat_map(|dialect| dialect.speech().paths());
    let paths: Vec<_> = paths.map(|path| format!("POST {path}")).collect();
    let message = format!(
        "no such endpoint; {}, GET /admin/ledger, GET or POST /admin/weather, \
         POST /admin/reset-ledger",
        paths.join(", ")
    );
    error(404, "not_found", &message)
}

type Settings = Vec<(&'static str, f64)>;

/// Reads a change of weather: whose, and the settings by name.
fn change(bytes: &[u8]) -> Result<(Target, Settings), Vec<Problem>> {
    let root = Placed::from_json(bytes).map_err(|problem| vec![problem])?;
    let entries = root.entries().map_err(|problem| vec![problem])?;
    let (mut names, mut settings) = ([None, None], Vec::new());
    for (key, value) in entries {
        match (key.as_str(), &value.node) {
            ("provider", Node::Text(text)) => names[0] = Some(text),
            ("model", Node::Text(text)) => names[1] = Some(text),
            (name, _) => settings.push((name, value)),
        }
    }
    let mut reader = Reader::default();
    reader.weather(&Weather::default(), &settings, &root, &["provider", "model"]);
    let target = match names {
        [Some(provider), Some(model)] => Provider::new(provider)
            .and_then(|provider| Ok(Target::new(provider, Model::new(model)?)))
            .map_err(|error| root.problem(format!("the provider's or model's name {error}"))),
        [_, _] => Err(root.problem("`provider` and `model` are needed, both as text")),
    };
    let target = reader.take(target);
    let numbers = settings.iter().filter_map(|(name, value)| {
        let name = Weather::NAMES.into_iter().find(|known| known == name)?;
        Some((name, value.number().ok()?))
    });
    match target {
        Some(target) if reader.problems.is_empty() => Ok((target, numbers.collect())),
        Some(_) | None => Err(reader.problems),
    }
}

fn described(target: &Target, weather: &Weather) -> Value {
    let mut object = Map::new();
    object.insert("provider".to_owned(), json!(target.provider.as_str()));
    object.insert("model".to_owned(), json!(target.model.as_str()));
    object.extend(weather.settings().map(|(name, value)| (name.to_owned(), json!(value))));
    Value::Object(object)
}

fn invalid(problems: &[Problem]) -> Response {
    let message: Vec<_> = problems.iter().map(ToString::to_string).collect();
    error(400, "invalid_weather", &message.join("; "))
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let remedy = "GET /admin/weather shows every target and setting";
    answer(status, &json!({"error": {"code": code, "message": message, "remedy": remedy}}))
}

fn answer(status: u16, body: &Value) -> Response {
    response(status, "application/json", Vec::new(), Body::from(body.to_string()))
}
