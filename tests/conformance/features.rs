//! Several feature tags, each with an outgoing value of its own: R-1.

use crate::checks::{accepted, not_ours, sent};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::rig::{BOB, Setup, TEL};

const ICSI: &str = "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg";

/// OMA SIMPLE IM and RCS at one server.
pub fn one_server_takes_oma_im_and_rcs(transport: Transport) {
    let tags = format!("+g.oma.sip-im, +g.3gpp.icsi-ref={ICSI}");
    let rig = Setup::new(transport).text("FEATURE_TAGS", &tags).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    for spelling in [
        ICSI.to_owned(),
        ICSI.replace("%3A", "%3a").replace("msg", "%6Dsg"),
    ] {
        let tag = format!("*;+g.3gpp.icsi-ref=\"{spelling}\"");
        let request = Request::another(&client)
            .set("Accept-Contact", &tag)
            .with("Conversation-ID: f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
            .with("Contribution-ID: abcdef");
        let (_, forks) = sent(&rig, &mut client, &request, 2);
        for fork in forks {
            assert_eq!(
                fork.message.all("Accept-Contact"),
                [format!("*;+g.3gpp.icsi-ref=\"{ICSI}\";require;explicit")]
            );
            assert!(fork.message.has("Conversation-ID") && fork.message.has("Contribution-ID"));
        }
    }
    // Case counts, and another service is another.
    for other in [ICSI.replace("msg", "MSG"), format!("{ICSI}.group")] {
        let tag = format!("*;+g.3gpp.icsi-ref=\"{other}\"");
        let request = Request::another(&client).set("Accept-Contact", &tag);
        not_ours(&rig, &mut client, &request, 403, "Feature Tag Missing");
    }
}

/// without an entry for it, RCS is not ours; an entry may name what its forks ask for.
pub fn only_the_tags_of_the_configuration_count(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let tag = format!("*;+g.3gpp.icsi-ref=\"{ICSI}\"");
    let request = Request::another(&client).set("Accept-Contact", &tag);
    not_ours(&rig, &mut client, &request, 403, "Feature Tag Missing");

    let tags = format!("+g.oma.sip-im > +g.3gpp.icsi-ref={ICSI}; explicit");
    let rig = Setup::new(transport).text("FEATURE_TAGS", &tags).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    let (_, forks) = sent(&rig, &mut client, &request, 2);
    for fork in forks {
        assert_eq!(
            fork.message.all("Accept-Contact"),
            [format!("*;+g.3gpp.icsi-ref=\"{ICSI}\";explicit")]
        );
    }
}
