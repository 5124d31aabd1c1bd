//! Queries whose JSON has several keys of its own.

use serde_json::Value as Json;

use super::place::Place;
use crate::error::Result;
use crate::query::request::Query;

impl Place<'_> {
    pub fn text_in(&self, json: &Json) -> Result<Query> {
        let expected = "an object with `fields` and `text`";
        let object = self.object(expected, json)?;
        let (Some(fields), Some(text), 2) =
            (object.get("fields"), object.get("text"), object.len())
        else {
            return Err(self.wrong(expected, json));
        };
        let place = self.key("fields");
        let fields = place.object("an object of field to weight", fields)?.iter();
        let fields = fields.map(|(field, weight)| {
            let weight = place.key(field).number("a weight", weight)?;
            Ok((field.as_str(), weight))
        });
        let fields = fields.collect::<Result<Vec<_>>>()?;
        Ok(Query::text_in(
            fields,
            self.key("text").string("words", text)?,
        ))
    }

    pub fn phrase(&self, json: &Json) -> Result<Query> {
        let (field, options) = self.field(json)?;
        let place = self.key(field);
        if let Json::String(text) = options {
            return Ok(Query::phrase(field, text.as_str()));
        }
        let expected = "a string, or an object with `text`, and maybe `slop` and `prefix`";
        let (mut text, mut slop, mut is_prefix) = (None, 0, false);
        for (key, value) in place.object(expected, options)? {
            let here = place.key(key);
            match key.as_str() {
                "text" => text = Some(here.string("words", value)?),
                "slop" => slop = here.count(value)?,
                "prefix" => {
                    let flag = value.as_bool();
                    is_prefix = flag.ok_or_else(|| here.wrong("true or false", value))?;
                }
                _ => return Err(place.error(expected, format_args!("the key `{key}`"))),
            }
        }
        let text = text.ok_or_else(|| place.wrong(expected, options))?;
        let query = match is_prefix {
            true => Query::phrase_prefix(field, text),
            false => Query::phrase(field, text),
        };
        Ok(query.with_slop(slop))
    }

    pub fn fuzzy(&self, json: &Json) -> Result<Query> {
        let (field, options) = self.field(json)?;
        let place = self.key(field);
        let expected = "an object with `term` and `distance`, and maybe `prefix`";
        let (mut term, mut distance, mut prefix) = (None, None, 0);
        for (key, value) in place.object(expected, options)? {
            let here = place.key(key);
            match key.as_str() {
                "term" => term = Some(here.string("a term", value)?),
                "distance" => distance = Some(here.count(value)?),
                "prefix" => prefix = here.count(value)?,
                _ => return Err(place.error(expected, format_args!("the key `{key}`"))),
            }
        }
        let (Some(term), Some(distance)) = (term, distance) else {
            return Err(place.wrong(expected, options));
        };
        let distance = u8::try_from(distance).unwrap_or(u8::MAX);
        Ok(Query::fuzzy_after(field, term, distance, prefix as usize))
    }

    pub fn bool(&self, json: &Json) -> Result<Query> {
        let mut query = Query::bool();
        let object = self.object("an object with `must` and `should`", json)?;
        for (key, value) in object {
            match key.as_str() {
                "must" | "should" | "minimum_should" => {}
                "filter" | "without" => {
                    let expected = format!("`{key}` beside `bool`");
                    return Err(self.error(&expected, "it inside"));
                }
                key => {
                    let expected = "`must`, `should` or `minimum_should`";
                    return Err(self.unknown(expected, key));
                }
            }
            if key == "minimum_should" {
                query = query.with_minimum_should(self.key(key).count(value)?);
            }
        }
        for part in self.one_or_more(object, "must")? {
            query = query.must(part);
        }
        for part in self.one_or_more(object, "should")? {
            query = query.should(part);
        }
        Ok(query)
    }
}
