//! A command of the module for the proxy's management interface: RPC in Kamailio, MI in OpenSIPS.

#![forbid(unsafe_code)]

use super::answer::{Answer, Fault};
use super::arguments::Arguments;
use super::keeper::Keeper;
use super::parameter::{Kind, Parameter};
use crate::server::Server;
use serde_json::Value;
use std::fmt;

/// A command.
pub struct Command {
    /// Its name, behind `cimf.` or `cimf_`.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
    /// What it is given, in this order.
    pub parameters: &'static [Parameter],
    /// Whether it answers with an array.
    pub is_list: bool,
    /// What is done, and by whom.
    pub run: Run,
}

/// What a command does.
#[derive(Clone, Copy)]
pub enum Run {
    /// It looks into memory, in whatever process it is asked of.
    Here(fn(&Server, &Arguments) -> Answer),
    /// It reads groups, in the process `cimf groups`.
    Reads(fn(&mut Keeper<'_>, &Arguments) -> Answer),
    /// It changes groups, in the process `cimf groups`.
    Changes(fn(&mut Keeper<'_>, &Arguments) -> Result<Changed, Fault>),
}

/// What a command has changed.
pub struct Changed {
    /// The answer.
    pub answer: Value,
    /// Whether anything is another than before.
    pub is_new: bool,
}

impl Command {
    /// What it is given, one after the other.
    pub fn in_order(&self, given: Vec<String>) -> Result<Arguments, Fault> {
        Arguments::in_order(self.parameters, given).map_err(|fault| self.with_usage(fault))
    }

    /// What it is given, by parameter.
    pub fn by_parameter(&self, given: Vec<Vec<String>>) -> Result<Arguments, Fault> {
        Arguments::of(self.parameters, given).map_err(|fault| self.with_usage(fault))
    }

    fn with_usage(&self, fault: Fault) -> Fault {
        Fault::of(fault.code, format!("{}: expected {self}", fault.text))
    }
}

/// Its name with its parameters: `member_add GROUP MEMBER...`.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        for Parameter { shown, kind, .. } in self.parameters {
            match kind {
                Kind::Needed => write!(f, " {shown}")?,
                Kind::Optional => write!(f, " [{shown}]")?,
                Kind::Several => write!(f, " {shown}...")?,
            }
        }
        Ok(())
    }
}
