//! Commands about URI-list services, and the addresses that have consented to receive messages from them (U-12).

#![forbid(unsafe_code)]

use super::answer::{Answer, Fault};
use super::arguments::Arguments;
use super::command::Changed;
use super::group_commands::with_count;
use super::keeper::Keeper;
use super::page_arguments::page;
use crate::store::edit::{EditError, Missing, ServiceRecord};
use serde_json::{Value, json};

fn shape(service: &ServiceRecord) -> Value {
    json!({
        "service": service.uri,
        "pager_mode": u64::from(service.pager_mode),
        "consent_count": service.consents,
    })
}

/// The services, sorted by address.
pub fn list(keeper: &mut Keeper<'_>, given: &Arguments) -> Answer {
    let page = page(given, 0)?;
    let services = keeper.look_through(|editor| editor.services_page(page))?;
    Ok(services.iter().map(shape).collect())
}

/// Adds a service. One that is there stays as it is.
pub fn add(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let uri = given.text(0);
    let (service, is_new) = keeper.edit(|editor| match editor.add_service(uri, true) {
        Ok(service) => Ok((service, true)),
        Err(EditError::ServiceExists(_)) => Ok((editor.service_record(uri)?, false)),
        Err(error) => Err(error),
    })?;
    Ok(with_count("added", shape(&service), is_new))
}

/// Deletes a service with its consents. One that is not there is gone already.
pub fn delete(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let deleted = keeper.edit(|editor| match editor.delete_service(given.text(0)) {
        Ok(service) => Ok(Some(service)),
        Err(EditError::NoService(..)) => Ok(None),
        Err(error) => Err(error),
    })?;
    let answer = match &deleted {
        Some(service) => json!({ "service": service.uri, "consent_count": service.consents }),
        None => json!({ "service": given.text(0), "consent_count": 0 }),
    };
    Ok(with_count("deleted", answer, deleted.is_some()))
}

/// The addresses that have consented to receive messages from a service, sorted.
pub fn consents(keeper: &mut Keeper<'_>, given: &Arguments) -> Answer {
    let page = page(given, 1)?;
    let consents = keeper.edit(|editor| editor.consents_page(given.text(0), page))?;
    let all = consents.iter().map(|address| json!({ "address": address }));
    Ok(all.collect())
}

/// Adds consents. Who has consented already stays as they are.
pub fn add_consents(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let addresses = given.all(1).iter().map(String::as_str);
    let (service, added) = keeper.edit(|editor| editor.add_consents(given.text(0), addresses))?;
    Ok(counted("added", &service, added))
}

/// Deletes consents. Who has not consented is not there already.
pub fn delete_consents(keeper: &mut Keeper<'_>, given: &Arguments) -> Result<Changed, Fault> {
    let addresses = given.all(1).iter().map(String::as_str);
    let (service, deleted) =
        keeper.edit(|editor| editor.delete_consents(given.text(0), addresses, Missing::Skipped))?;
    Ok(counted("deleted", &service, deleted.len()))
}

fn counted(what: &str, service: &ServiceRecord, count: usize) -> Changed {
    let mut answer = shape(service);
    answer[what] = count.into();
    Changed {
        answer,
        is_new: count > 0,
    }
}
