//! URI-list services, and the addresses that have consented to receive messages from them (U-12).

use super::address::group_uri;
use super::change::{Change, Index, equal_address};
use super::members_change::Missing;
use super::refused::Refused;
use super::{EditError, Editor, Scope};
use crate::store::database::text;
use rusqlite::OptionalExtension;
use std::borrow::Cow;

/// A stored service, without its consents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    pub(super) id: i64,
    /// The address.
    pub uri: String,
    /// Whether the service accepts pager-mode messages.
    pub pager_mode: bool,
    /// The number of addresses that have consented.
    pub consents: u64,
}

pub(super) const SELECT_SERVICE: &str = "SELECT id, uri, pager_mode,
    (SELECT count(*) FROM consent WHERE service_id = id) FROM service";

pub(super) fn service_record(row: &rusqlite::Row<'_>) -> rusqlite::Result<ServiceRecord> {
    Ok(ServiceRecord {
        id: row.get(0)?,
        uri: text(row, 1)?.into_owned(),
        pager_mode: row.get(2)?,
        consents: row.get::<_, i64>(3)?.unsigned_abs(),
    })
}

impl Editor {
    /// Adds a service.
    ///
    /// # Errors
    ///
    /// An address that is invalid for a service, or already used by a group or service.
    pub fn add_service(&mut self, uri: &str, pager_mode: bool) -> Result<ServiceRecord, EditError> {
        let uri = group_uri(uri)?;
        self.change(
            || Scope::of([uri.as_str()]),
            |change| {
                if change.group(&uri)?.is_some() {
                    return Err(EditError::IsGroup(uri.clone()));
                }
                if change.service(&uri)?.is_some() {
                    return Err(EditError::ServiceExists(uri.clone()));
                }
                let sql = "INSERT INTO service (uri, pager_mode) VALUES (?1, ?2)";
                change.sqlite(|transaction| transaction.execute(sql, (&uri, pager_mode)))?;
                change.existing_service(&uri)
            },
        )
    }

    /// Deletes a service with its consents, and returns its record.
    ///
    /// # Errors
    ///
    /// There is no such service.
    pub fn delete_service(&mut self, uri: &str) -> Result<ServiceRecord, EditError> {
        let uri = group_uri(uri)?;
        self.change(
            || Scope::of([uri.as_str()]),
            |change| {
                let service = change.existing_service(&uri)?;
                let sql = "DELETE FROM service WHERE id = ?1";
                change.sqlite(|transaction| transaction.execute(sql, [service.id]))?;
                Ok(service)
            },
        )
    }

    /// A service without its consents.
    ///
    /// # Errors
    ///
    /// There is no such service.
    pub fn service_record(&mut self, uri: &str) -> Result<ServiceRecord, EditError> {
        let uri = group_uri(uri)?;
        let scope = || Scope::of([uri.as_str()]);
        self.read(scope, |change| change.existing_service(&uri))
    }

    /// All services, sorted by address.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn services(&mut self) -> Result<Vec<ServiceRecord>, EditError> {
        self.read(
            || Scope::All,
            |change| {
                change.sqlite(|transaction| {
                    let sql = format!("{SELECT_SERVICE} ORDER BY uri");
                    let mut statement = transaction.prepare(&sql)?;
                    statement.query_map([], service_record)?.collect()
                })
            },
        )
    }

    /// Adds consents, all or none. An address that has consented already, in any spelling, is kept as
    /// it is; returns the service as it is now, and the number of new ones.
    ///
    /// # Errors
    ///
    /// There is no such service, or nothing can be sent to an address.
    pub fn add_consents<'a>(
        &mut self,
        service: &str,
        new: impl IntoIterator<Item = &'a str>,
    ) -> Result<(ServiceRecord, usize), EditError> {
        let uri = group_uri(service)?;
        self.change(
            || Scope::of([uri.as_str()]),
            |change| {
                let service = change.existing_service(&uri)?;
                let existing = change.consents(&service)?;
                let mut index = Index::of(existing.iter().map(String::as_str));
                let mut added = Vec::new();
                let mut refused = Refused::default();
                for (at, address) in new.into_iter().enumerate() {
                    let Some(uri) = refused.checked(at, address.into()) else {
                        continue;
                    };
                    if index.equals(&uri).next().is_none() {
                        index.file(uri, address);
                        added.push(address);
                    }
                }
                refused.finish()?;
                change.sqlite(|transaction| {
                    let sql = "INSERT INTO consent (service_id, uri) VALUES (?1, ?2)";
                    let mut insert = transaction.prepare(sql)?;
                    for address in &added {
                        insert.execute((service.id, address))?;
                    }
                    Ok(())
                })?;
                Ok((change.existing_service(&uri)?, added.len()))
            },
        )
    }

    /// Deletes consents, all or none, each matched by its stored text or by URI equality (C-1, C-3),
    /// and returns the service as it is now, and them as they were stored.
    ///
    /// # Errors
    ///
    /// There is no such service, or an address has not consented.
    pub fn delete_consents<'a>(
        &mut self,
        service: &str,
        gone: impl IntoIterator<Item = &'a str>,
        missing: Missing,
    ) -> Result<(ServiceRecord, Vec<String>), EditError> {
        let uri = group_uri(service)?;
        self.change(
            || Scope::of([uri.as_str()]),
            |change| {
                let service = change.existing_service(&uri)?;
                let existing = change.consents(&service)?;
                let index = Index::of(existing.iter().map(String::as_str));
                let mut deleted: Vec<String> = Vec::new();
                let mut refused = Refused::default();
                for (at, address) in gone.into_iter().enumerate() {
                    let stored = existing.binary_search_by(|it| it.as_str().cmp(address));
                    let found = match stored {
                        Ok(at) => Ok(existing[at].as_str()),
                        Err(_) => equal_address(&index, &service.uri, address),
                    };
                    let found = match found {
                        Err(EditError::NoMember { .. }) if missing == Missing::Skipped => continue,
                        Err(EditError::NoMember { group, member }) => Err(EditError::NoConsent {
                            service: group,
                            address: member,
                        }),
                        found => found,
                    };
                    deleted.extend(refused.unless(at, found).map(str::to_owned));
                }
                refused.finish()?;
                change.sqlite(|transaction| {
                    let sql = "DELETE FROM consent WHERE service_id = ?1 AND uri = ?2";
                    let mut delete = transaction.prepare(sql)?;
                    for address in &deleted {
                        delete.execute((service.id, address))?;
                    }
                    Ok(())
                })?;
                Ok((change.existing_service(&uri)?, deleted))
            },
        )
    }

    /// The addresses that have consented to receive messages from a service, in their order.
    ///
    /// # Errors
    ///
    /// There is no such service.
    pub fn consents(&mut self, service: &str) -> Result<Vec<String>, EditError> {
        let uri = group_uri(service)?;
        self.read(
            || Scope::of([uri.as_str()]),
            |change| {
                let service = change.existing_service(&uri)?;
                change.consents(&service)
            },
        )
    }
}

impl Change<'_> {
    pub fn service(&self, uri: &str) -> Result<Option<ServiceRecord>, EditError> {
        let sql = format!("{SELECT_SERVICE} WHERE uri = ?1");
        self.sqlite(|transaction| {
            transaction
                .query_row(&sql, [uri], service_record)
                .optional()
        })
    }

    /// Checks that an address is neither a group's nor a service's, so that a group may have it.
    pub fn check_address_is_free(&self, uri: &str) -> Result<(), EditError> {
        if self.group(uri)?.is_some() {
            return Err(EditError::GroupExists(uri.to_owned()));
        }
        match self.service(uri)? {
            Some(_) => Err(EditError::IsService(uri.to_owned())),
            None => Ok(()),
        }
    }

    pub fn existing_service(&self, uri: &str) -> Result<ServiceRecord, EditError> {
        let missing = || EditError::NoService(self.path.to_owned(), uri.to_owned());
        self.service(uri)?.ok_or_else(missing)
    }

    fn consents(&self, service: &ServiceRecord) -> Result<Vec<String>, EditError> {
        self.sqlite(|transaction| {
            let sql = "SELECT uri FROM consent WHERE service_id = ?1 ORDER BY uri";
            let mut statement = transaction.prepare(sql)?;
            let consents =
                statement.query_map([service.id], |row| text(row, 0).map(Cow::into_owned))?;
            consents.collect()
        })
    }
}
