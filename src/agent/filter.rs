//! Which peers are meant: those with certain tags, those that offer certain services.

use std::collections::BTreeMap;

use crate::values::filled;
use crate::wire::Profile;

/// What a peer must have; an empty one fits all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Tags, each with the value that it must have, if not any.
    tags: Vec<(String, Option<String>)>,
    services: Vec<String>,
}

impl Filter {
    /// Tags as they are typed, `K` or `K=V`, and names of services; or what is wrong with them.
    pub(crate) fn parse(tags: &[String], services: &[String]) -> Result<Self, String> {
        let tags = tags.iter().map(|tag| match tag.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (tag.clone(), None),
        });
        let filter = Self { tags: tags.collect(), services: services.to_vec() };
        if filter.tags.iter().any(|(key, _)| key.is_empty()) {
            return Err("--tag: a tag without a name; write K or K=V, such as role=web".to_owned());
        }
        Ok(filter)
    }

    /// Peers with these tags, as the control socket has them.
    pub(crate) fn with_tags(tags: BTreeMap<String, Option<String>>) -> Self {
        Self { tags: tags.into_iter().collect(), services: Vec::new() }
    }

    /// The tags, as the control socket has them.
    pub(crate) fn tags(&self) -> BTreeMap<String, Option<String>> {
        filled(self.tags.iter().cloned())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.services.is_empty()
    }

    pub(crate) fn fits(&self, profile: &Profile) -> bool {
        self.tags.iter().all(|(key, value)| {
            let has = profile.tags.get(&key.as_str().into());
            has.is_some_and(|has| value.as_ref().is_none_or(|value| has.raw() == value))
        }) && self.services.iter().all(|name| profile.services.contains_key(&name.as_str().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::objects::tests::a_peer;

    #[test]
    fn a_peer_fits_when_it_has_all_that_is_asked_for() {
        let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let profile = a_peer().profile;
        for (tags, services, fits) in [
            (&[][..], &[][..], true),
            (&["role"], &[], true),
            (&["role=web"], &["http"], true),
            (&["role=db"], &[], false),
            (&["role=web", "rack"], &[], false),
            (&[], &["dns"], false),
        ] {
            let filter = Filter::parse(&owned(tags), &owned(services)).unwrap();
            assert_eq!(filter.fits(&profile), fits, "{tags:?} {services:?}");
            let again = Filter::with_tags(filter.tags());
            assert_eq!(again.fits(&profile), fits || !services.is_empty());
        }
        assert!(Filter::parse(&["=web".to_owned()], &[]).is_err());
    }
}
