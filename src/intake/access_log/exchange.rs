//! From the values of a line to the records of the exchanges that it tells of.

use std::borrow::Cow;

use crate::domain::classify::Transport;
use crate::ground::config::{Proxy, Unit};
use crate::ground::names::Names;
use crate::intake::refusal::Refusal;
use crate::intake::report::record::Record;
use crate::intake::report::scalar::{Scalar, WORD_BYTES_MAX};
use crate::intake::sighting::Ignored;

use super::line::{Values, values};
use super::mapping::{Mapping, Place};
use super::{caddy, envoy, haproxy, model_url, nginx, time};

/// Most exchanges believed of one line: proxies give up long before.
pub(super) const EXCHANGES_MAX: usize = 32;

/// Longest request id, in bytes, as in a report.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Fields that go into every record of a line as they are.
const COPIED: [&str; 11] = [
    "provider",
    "error_type",
    "error_code",
    "class",
    "phase",
    "final",
    "request_id",
    "n",
    "service",
    "region",
    "account",
];

/// What a line tells.
pub(super) enum Read<'a> {
    /// Exchanges with a provider.
    Records(Vec<Record<'a>>),
    /// Nothing to count.
    Ignored(Ignored),
}

/// The values of a line by their fields.
pub(super) struct View<'m, 'a> {
    mapping: &'m Mapping,
    values: Values<'a>,
}

/// How one exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The provider answered with this status.
    Status(u16),
    /// It did not, or broke off behind this status.
    Broken(Transport, Option<u16>),
    /// As the record's own fields say.
    AsTold,
}

/// One exchange of a proxy with a provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Exchange {
    /// How it ended.
    pub(super) end: End,
    /// How long it took in milliseconds, where the line tells it apart from the whole.
    pub(super) ms: Option<f64>,
    /// Exchanges of the same request before it that the line does not describe.
    pub(super) hidden: u32,
}

impl Exchange {
    pub(super) fn new(end: End) -> Self {
        Self { end, ms: None, hidden: 0 }
    }
}

/// Reads a line.
pub(super) fn read<'a>(
    mapping: &'a Mapping,
    bytes: &'a [u8],
    names: &Names,
) -> Result<Read<'a>, Refusal> {
    let view = View { mapping, values: values(bytes, &mapping.keys)? };
    let exchanges = match mapping.proxy {
        Some(Proxy::Envoy) => envoy::exchange(&view).map(|exchange| vec![exchange]),
        Some(Proxy::Nginx) => nginx::exchanges(&view),
        Some(Proxy::Haproxy) => haproxy::exchange(&view).map(|exchange| vec![exchange]),
        Some(Proxy::Caddy) => caddy::exchange(&view).map(|exchange| vec![exchange]),
        None => Some(vec![Exchange::new(End::AsTold)]),
    };
    // None: the proxy answered by itself.
    let Some(exchanges) = exchanges else { return Ok(Read::Ignored(Ignored::Gateway)) };
    let Some(model) = view.model() else { return Ok(Read::Ignored(Ignored::NoModel)) };
    Ok(Read::Records(view.records(&exchanges, &model, names)))
}

impl<'a> View<'a, 'a> {
    /// The records of the exchanges, the last of which ended when the line says.
    fn records(
        &self,
        exchanges: &[Exchange],
        model: &Cow<'a, str>,
        names: &Names,
    ) -> Vec<Record<'a>> {
        let mut at = self.ended();
        let mut number = u32::try_from(exchanges.len()).unwrap_or(u32::MAX);
        let mut records = Vec::with_capacity(exchanges.len());
        for exchange in exchanges.iter().rev() {
            let ms = exchange.ms.or_else(|| self.millis("ms").filter(|_| exchanges.len() == 1));
            let mut fields = self.shared(exchange, model, names);
            fields.push(("attempt", self.attempt(number, exchange, exchanges.len())));
            fields.push(("id", self.id(number, exchanges.len())));
            fields.extend(at.map(|at| ("ts", Scalar::Number(at))));
            fields.extend(ms.map(|ms| ("ms", Scalar::Number(ms))));
            let mut record = Record::of(fields);
            record.unclassified = exchange.hidden;
            records.push(record);
            // The one before it had ended when this one began.
            at = at.map(|at| at - exchange.ms.unwrap_or(0.0) / 1e3);
            number -= 1;
        }
        records.reverse();
        records
    }

    /// The fields of a record that do not depend on its place among the others.
    fn shared(
        &self,
        exchange: &Exchange,
        model: &Cow<'a, str>,
        names: &Names,
    ) -> Vec<(&'a str, Scalar<'a>)> {
        let copied = COPIED.iter().filter_map(|name| Some((*name, self.get(name)?)));
        // A client may choose what some of them hold: too long is no reason to lose the line.
        let fits = |(name, value): &(&str, Scalar<'_>)| {
            *name != "request_id" || is_text(value, REQUEST_ID_BYTES_MAX)
        };
        let mut fields: Vec<(&str, Scalar<'_>)> = copied.filter(fits).collect();
        fields.push(("model", Scalar::Text(model.clone())));
        fields.extend(self.host(names).map(|host| ("host", host)));
        let status = |status: u16| ("status", Scalar::Integer(u64::from(status)));
        match exchange.end {
            End::Status(code) => fields.push(status(code)),
            End::Broken(transport, code) => {
                fields.extend(code.map(status));
                fields.push(("error", Scalar::Text(Cow::Borrowed(transport.as_str()))));
            }
            End::AsTold => {
                fields.extend(self.status().map(status));
                fields.extend(self.get("error").map(|error| ("error", error)));
            }
        }
        for name in ["ttft_ms", "retry_after"] {
            // What is not a number here, such as a date, is not worth a refusal.
            let number = match name {
                "ttft_ms" => self.millis(name),
                _ => self.millis_of(name, Unit::Seconds).map(|millis| millis / 1e3),
            };
            fields.extend(number.map(|number| (name, Scalar::Number(number))));
        }
        let op = self.get("op").or_else(|| self.get("id")).filter(is_word);
        fields.extend(op.map(|op| ("op", op)));
        fields
    }

    /// Which attempt of its call an exchange was: the client's own retries come first, then the
    /// proxy's.
    fn attempt(&self, number: u32, exchange: &Exchange, among: usize) -> Scalar<'a> {
        if let Some(told) = self.number("attempt").filter(|_| among == 1) {
            let before = self.number("client_retries").unwrap_or(0);
            return Scalar::Integer(u64::from(told.saturating_add(before)));
        }
        let before = self.number("client_retries").unwrap_or(0);
        let number = number.saturating_add(before).saturating_add(exchange.hidden);
        Scalar::Integer(u64::from(number))
    }

    /// The id of a line stands for its exchanges one by one.
    fn id(&self, number: u32, among: usize) -> Scalar<'a> {
        let id = match self.get("id") {
            Some(Scalar::Text(id)) if among > 1 => {
                Scalar::Text(Cow::Owned(format!("{id}:{number}")))
            }
            Some(id) => id,
            None => Scalar::Absent,
        };
        if is_word(&id) { id } else { Scalar::Absent }
    }

    fn model(&self) -> Option<Cow<'a, str>> {
        let places = self.mapping.fields.get("model")?;
        places.iter().find_map(|place| match (place, self.value(place)?) {
            (Place::Url(_), Scalar::Text(Cow::Borrowed(url))) => model_url::model(url),
            (Place::Url(_), Scalar::Text(Cow::Owned(url))) => {
                model_url::model(&url).map(|model| Cow::Owned(model.into_owned()))
            }
            (Place::Key(..) | Place::Value(_), Scalar::Text(model)) => Some(model),
            (_, _) => None,
        })
    }

    /// The first host that is known, else the first at all: some names of a server are only an
    /// address, or the proxy's own name for it.
    fn host(&self, names: &Names) -> Option<Scalar<'a>> {
        let places = self.mapping.fields.get("host")?;
        let mut hosts = places.iter().filter_map(|place| self.value(place));
        let is_known = |host: &Scalar<'_>| match host {
            Scalar::Text(host) => names.serves(host),
            _ => false,
        };
        let first = hosts.next()?;
        if is_known(&first) { Some(first) } else { hosts.find(is_known).or(Some(first)) }
    }

    /// Seconds since 1970 at which the line's request ended.
    fn ended(&self) -> Option<f64> {
        let moment = |name: &str| {
            let places = self.mapping.fields.get(name)?;
            places.iter().find_map(|place| time::moment(&self.value(place)?, unit(place)))
        };
        let after_start = || Some(moment("started")? + self.millis("ms")? / 1e3);
        moment("ts").or_else(after_start)
    }

    /// The first value of a field that says something.
    pub(super) fn get(&self, field: &str) -> Option<Scalar<'a>> {
        self.mapping.fields.get(field)?.iter().find_map(|place| self.value(place))
    }

    /// The value at a place; `None` where it is missing, or written as nothing.
    fn value(&self, place: &'a Place) -> Option<Scalar<'a>> {
        let value = match place {
            Place::Key(index, _) | Place::Url(index) => self.values[*index].clone()?,
            Place::Value(value) => Scalar::Text(Cow::Borrowed(value)),
        };
        let says = match &value {
            Scalar::Absent => false,
            Scalar::Text(text) => !matches!(text.trim(), "" | "-"),
            Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Number(_) | Scalar::Compound => true,
        };
        says.then_some(value)
    }

    /// Whether the line has a key of this field, be it empty.
    pub(super) fn is_logged(&self, field: &str) -> bool {
        let places = self.mapping.fields.get(field).into_iter().flatten();
        places.into_iter().any(|place| match place {
            Place::Key(index, _) | Place::Url(index) => self.values[*index].is_some(),
            Place::Value(_) => true,
        })
    }

    /// A field's text as it stands in the line, where a dash is an item of a list.
    pub(super) fn raw(&self, field: &str) -> Option<Cow<'a, str>> {
        let places = self.mapping.fields.get(field)?;
        places.iter().find_map(|place| match place {
            Place::Key(index, _) => match self.values[*index].clone()? {
                Scalar::Text(text) => Some(text),
                Scalar::Integer(number) => Some(Cow::Owned(number.to_string())),
                _ => None,
            },
            Place::Url(_) | Place::Value(_) => None,
        })
    }

    /// A field as text.
    pub(super) fn text(&self, field: &str) -> Option<Cow<'a, str>> {
        match self.get(field)? {
            Scalar::Text(text) => Some(text),
            Scalar::Integer(number) => Some(Cow::Owned(number.to_string())),
            Scalar::Number(number) => Some(Cow::Owned(number.to_string())),
            Scalar::Absent | Scalar::Bool(_) | Scalar::Compound => None,
        }
    }

    /// A field as a whole number; `HAProxy` writes a plus before some.
    pub(super) fn number(&self, field: &str) -> Option<u32> {
        self.text(field)?.trim().trim_start_matches('+').parse().ok()
    }

    /// The status of the line; proxies write 0, 000 or -1 where none was sent.
    pub(super) fn status(&self) -> Option<u16> {
        status(&self.text("status")?)
    }

    /// A field as a length of time in milliseconds.
    fn millis(&self, field: &str) -> Option<f64> {
        self.millis_of(field, Unit::Millis)
    }

    fn millis_of(&self, field: &str, usual: Unit) -> Option<f64> {
        let places = self.mapping.fields.get(field)?;
        places
            .iter()
            .find_map(|place| time::millis(&self.value(place)?, unit(place).or(Some(usual))))
    }

    /// The unit of a field's numbers.
    pub(super) fn unit(&self, field: &str) -> Option<Unit> {
        self.mapping.fields.get(field)?.iter().find_map(unit)
    }
}

/// Whether a value can be an id.
fn is_word(value: &Scalar<'_>) -> bool {
    is_text(value, WORD_BYTES_MAX)
}

fn is_text(value: &Scalar<'_>, bytes_max: usize) -> bool {
    matches!(value, Scalar::Text(text) if text.len() <= bytes_max)
}

fn unit(place: &Place) -> Option<Unit> {
    match place {
        Place::Key(_, unit) => *unit,
        Place::Url(_) | Place::Value(_) => None,
    }
}

/// A status that a server may have sent.
pub(super) fn status(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|code| (100..600).contains(code))
}
