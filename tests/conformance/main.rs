//! The conformance cases of the requirements that concern stored groups, each named after its number, run
//! against a real Kamailio, or the OpenSIPS that CIMF_OPENSIPS names; and what else an administrator or an attacker may do to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout
)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls_relay.rs"]
mod tls_relay;

mod again;
mod checks;

mod answers;
mod away;
mod breadth;
mod charging;
mod connections;
mod credentials;
mod database;
mod digest;
mod durability;
mod fanout_breadth;
mod fanout_budgets;
mod fanout_connection;
mod fanout_kept;
mod fanout_memory;
mod fanout_order;
mod fanout_outcomes;
mod fanout_overview;
mod fanout_patience;
mod fanout_shares;
mod feature_tag;
mod features;
mod hostile;
mod identity;
mod identity_modes;
mod ims_as;
mod ipv6;
mod kemi;
mod list_choices;
mod list_parts;
mod lists;
mod loops;
mod management;
mod members;
mod memory_reserve;
mod names;
mod next_hop;
mod notifications;
mod numbers;
mod options;
mod outcomes;
mod preferences;
mod registrar;
mod retransmission;
mod room;
mod rules;
mod samples;
mod script;
mod service_rules;
mod size;
mod start;
mod steps;
mod stopped_worker;
mod tls_roads;
mod values;
mod workers;

/// Makes each case a test over UDP and a test over TCP, but for those that only one of them can
/// show.
macro_rules! cases {
    (both { $($file:ident :: { $($case:ident),+ $(,)? })+ } udp { $($only:ident :: { $($single:ident),+ $(,)? })+ } tcp { $($stream:ident :: { $($long:ident),+ $(,)? })+ }) => {
        mod udp {
            use crate::support::client::Transport;
            $($(#[test] fn $case() { crate::again::run(crate::$file::$case, Transport::Udp); })+)+
            $($(#[test] fn $single() { crate::again::run(crate::$only::$single, Transport::Udp); })+)+
        }
        mod tcp {
            use crate::support::client::Transport;
            $($(#[test] fn $case() { crate::again::run(crate::$file::$case, Transport::Tcp); })+)+
            $($(#[test] fn $long() { crate::again::run(crate::$stream::$long, Transport::Tcp); })+)+
        }
    };
}

/// Figures, which are no cases.
mod figures {
    use crate::support::client::Transport;

    #[test]
    #[ignore = "it measures, and takes a minute"]
    fn what_many_members_who_are_away_cost() {
        crate::away::what_many_members_who_are_away_cost(Transport::Udp);
    }
}

cases! {
both {
    away::{
        a_message_that_many_miss_is_counted_once,
        a_copy_that_expires_in_the_queue_holds_up_no_other,
        the_log_says_what_a_ledger_that_is_gone_means_here,
        what_somebody_has_altered_in_the_ledger_holds_up_no_other,
        it_is_told_what_is_kept_and_what_becomes_of_it,
        a_number_is_one_member_however_it_is_written,
        other_failures_are_not_kept,
        what_was_kept_comes_in_order_and_once,
        what_fails_again_stays,
        a_member_who_has_left_gets_it_and_that_of_a_deleted_group_goes,
        the_administrator_sees_what_is_kept_and_may_drop_it,
        a_ledger_that_is_gone_keeps_nothing_and_holds_nobody_up,
        one_more_than_may_be_pushes_out_the_oldest,
        a_full_ledger_keeps_what_it_has,
        a_copy_expires_with_its_message_or_its_time,
        who_was_away_gets_what_an_online_member_got_byte_for_byte,
        of_proxies_killed_while_keeping_and_delivering_none_loses_a_copy,
        a_stop_keeps_what_nobody_was_told_of,
    }
    values::{
        from_is_one_address_and_no_way_to_get_there,
        who_somebody_is_is_an_address_of_record,
        one_member_under_two_spellings_gets_one_message_at_a_time,
        what_cannot_be_misread_is_served,
        a_date_is_one_or_counts_as_absent,
        what_is_not_copied_is_told,
        a_header_of_one_value_that_stands_twice_is_refused,
        what_only_the_proxy_can_read_goes_no_further,
    }
    members::{
        t01_b0_is_answered_202_and_forked_to_bob_and_tel,
        t01_the_forks_are_those_of_flow_1_header_by_header_and_byte_by_byte,
        t03_a_fork_has_exactly_one_accept_contact,
        t04_every_fork_is_a_request_of_its_own,
        t41_a_group_without_recipients_is_refused,
        t88_max_forwards_is_copied_and_decremented,
        t96_a_contact_is_tolerated_and_not_copied,
        a_body_of_any_bytes_is_copied_unchanged,
        the_originator_is_left_out_in_every_spelling,
        what_may_be_copied_is_and_what_may_not_is_not,
        direct_sends_to_the_members_own_address,
    }
    answers::{
        t05_failing_members_change_nothing_for_the_sender,
        t06_a_redirection_is_not_followed,
        an_answer_has_every_via_wherever_it_stands,
        t07_pager_mode_off_refuses_every_message,
        t17_an_unknown_group_of_our_domain_is_not_found,
        t18_a_foreign_domain_is_not_ours,
        t21_a_factory_for_conferences_takes_no_messages,
        t22_an_unknown_group_is_told_from_a_foreign_one_unless_groups_are_hidden,
        t64_an_unknown_require_is_refused_by_name,
        t93_a_to_tag_belongs_to_no_dialog_of_ours,
        t94_a_from_without_tag_is_refused,
        a_silent_member_fails_by_timeout,
        the_statistics_are_one_command,
        transactions_are_counted_until_tm_gives_back_their_memory,
        a_fork_that_tm_cannot_send_is_counted_at_once,
    }
    room::{
        a_phone_without_feature_tag_reaches_a_group,
        an_untagged_message_to_no_group_is_the_scripts,
        the_log_names_the_parameter_that_serves_untagged_messages,
        people_and_groups_share_a_domain,
        a_hidden_group_is_like_an_address_of_a_person,
        copies_come_from_the_group_and_name_the_sender,
        only_plain_text_is_labelled,
        the_label_is_a_choice,
        a_trusted_next_hop_learns_the_sender_of_a_conversation,
        what_tells_of_typing_and_reading_ends_with_its_answer,
        what_a_browser_cannot_read_is_refused,
        copies_leave_from_the_listener_that_is_named,
    }
    feature_tag::{
        t08_without_the_feature_tag_a_message_is_not_ours,
        t09_the_compact_name_and_any_case_will_do,
        t10_the_tag_may_be_in_the_second_value_of_a_row,
        t11_the_tag_may_be_in_the_second_row,
        t13_another_tag_with_the_same_beginning_does_not_count,
    }
    identity::{
        t25_a_sender_who_is_no_member_is_refused,
        t26_a_message_without_asserted_identity_is_refused,
        t27_an_identity_from_an_untrusted_peer_is_no_identity,
        t29_both_asserted_identities_are_copied,
        t33_privacy_id_is_refused,
        t35_privacy_none_is_no_anonymity,
        t36_privacy_session_is_no_anonymity,
        t38_an_anonymous_from_is_refused,
        t40_an_untrusted_next_hop_learns_no_identity,
        flow_3_is_answered_as_written,
        an_identity_from_the_script_does_not_count_in_pai_mode,
    }
    identity_modes::{
        pai_takes_no_identity_of_the_script,
        digest_takes_the_identity_of_the_script_alone,
        an_unreadable_identity_of_the_script_is_refused,
        an_identity_of_the_first_check_is_given_to_the_second,
        either_takes_the_peer_first_and_then_the_script,
        none_believes_from_and_says_so_at_the_start,
        a_from_that_differs_is_copied_with_pai,
        t32_a_from_that_differs_is_refused_with_digest,
        from_mismatch_overrules_the_mode,
        a_from_that_differs_is_rewritten,
        one_number_under_two_schemes_is_one_member_with_pai_only,
    }
    names::{
        a_silent_name_server_holds_up_only_its_own_members,
        eight_hundred_silent_domains_hold_up_nobody_else,
        a_name_is_asked_again_until_there_is_an_answer,
        a_member_whose_name_nobody_knows_is_unreachable,
        a_name_without_port_leads_to_its_services,
        a_core_whose_name_server_goes_silent_is_sent_to,
        a_core_that_is_silent_at_one_address_is_sent_to_at_another,
    }
    ipv6::{
        a_message_over_ipv6_is_sent_on_over_ipv6,
        a_peer_is_trusted_by_its_ipv6_address,
        a_member_at_an_ipv6_address_is_sent_to_there,
        a_message_over_ipv4_is_sent_on_over_ipv6,
        a_silent_core_at_an_ipv6_address_is_unreachable,
    }
    next_hop::{
        a_trusted_next_hop_gets_what_the_domain_says,
        t40_an_untrusted_next_hop_gets_nothing_of_the_domain,
        an_untrusted_peer_says_nothing_for_the_domain,
        credentials_of_other_realms_go_to_a_trusted_core_only,
    }
    charging::{
        t108_the_answer_names_us_and_every_fork_has_its_own_identifier,
        t108_a_refusal_names_us_as_well,
        without_a_vector_there_is_none_anywhere,
        icid_mode_copy_correlates_the_forks_with_their_message,
        the_server_name_is_the_operators_unless_ioi_is_set,
        t109_orig_stays_in_the_route_and_the_group_is_served,
        without_orig_or_trust_no_user_is_served,
        the_forks_may_be_asserted_to_come_from_the_group,
    }
    digest::{
        t28_only_the_right_password_sends_a_message,
        an_identity_without_password_is_challenged,
        t32_ann_with_her_password_cannot_write_as_bob,
        a_retransmission_with_a_used_nonce_is_answered_again,
    }
    credentials::{
        an_unchecked_header_beside_the_credentials_names_nobody,
        another_realm_beside_the_credentials_makes_no_member_of_it,
        a_second_authorization_names_nobody,
        a_check_that_failed_leaves_no_user_behind,
        the_realm_in_another_case_is_the_same_user,
        credentials_work_for_one_message,
        a_username_with_a_domain_is_the_user_of_that_domain,
        no_username_turns_into_another_address,
    }
    connections::{
        every_sample_bounds_connections_by_what_the_memory_holds,
        idle_connections_stop_nobody,
    }
    samples::{
        nobody_is_trusted_unless_the_administrator_says_so,
        a_sender_has_the_quota_of_the_shipped_file,
        a_user_with_a_password_has_the_quota_of_the_shipped_file,
        what_only_the_core_may_say_is_not_relayed_for_strangers,
        no_sample_relays_for_strangers,
    }
    ims_as::{
        the_sample_for_ims_plays_flow_1,
        what_is_for_a_member_goes_back_to_the_core,
        others_than_the_core_are_refused,
    }
    features::{
        one_server_takes_oma_im_and_rcs,
        only_the_tags_of_the_configuration_count,
    }
    database::{
        t42_a_missing_database_is_answered_500_and_the_sender_may_come_back,
        a_change_by_cimfctl_is_seen_by_the_next_message,
        a_change_by_sql_is_seen_by_the_next_message,
        an_open_transaction_holds_nobody_up,
        a_replaced_database_is_noticed_within_a_second,
        a_log_removed_while_it_is_in_use_is_noticed,
        an_orderly_stop_leaves_the_database_in_one_file,
    }
    retransmission::{
        the_same_request_on_another_branch_is_merged,
        a_retransmission_after_tm_has_forgotten_is_still_absorbed,
        strangers_do_not_make_a_retransmission_new,
        a_stranger_with_the_same_identifiers_makes_no_message_a_merged_one,
        of_a_thousand_at_once_one_is_sent,
        a_refusal_is_repeated_and_counted_once,
        a_full_memory_makes_no_retransmission_new,
    }
    kemi::{
        a_script_in_another_language_runs_as_it_is_shipped,
        a_script_in_another_language_relays_for_nobody,
        every_function_is_called_from_another_language,
        another_language_is_told_of_events,
        a_function_for_events_that_is_missing_is_named,
    }
    steps::{
        the_three_steps_do_what_cimf_handle_does,
        a_script_reads_the_verdict_on_an_accepted_message,
        a_script_reads_the_verdict_on_a_refused_message,
        a_script_reads_the_verdict_after_cimf_handle,
        a_script_answers_for_itself,
        the_script_of_the_manual_works,
        an_identity_of_the_script_is_checked,
        nothing_is_sent_before_the_202,
        each_step_is_taken_once,
        after_an_answer_of_the_script_nothing_is_sent,
        a_verdict_ends_with_its_message,
        a_message_that_is_answered_and_not_sent_is_logged_at_once,
        the_steps_belong_to_request_route,
        what_is_not_ours_has_no_verdict,
        a_retransmission_after_tm_has_forgotten_is_answered_by_the_check,
    }
    script::{
        the_smallest_configuration_works,
        a_script_asks_whether_a_request_is_utf8,
        no_answer_has_a_via_twice,
        a_transaction_that_the_script_has_made_is_used,
        elsewhere_than_in_request_route_a_message_is_not_ours,
        the_route_of_a_copy_knows_its_group,
    }
    rules::{
        a_ruleset_lets_a_stranger_send_and_may_keep_a_member_out,
        an_exception_counts_by_any_of_the_senders_addresses,
        a_rule_counts_while_it_is_valid,
        an_anonymous_request_is_told_apart_before_anonymity_is_refused,
        a_rule_lets_some_stay_anonymous_and_others_not,
        an_anonymous_message_goes_around_groups_that_forbid_it,
        the_action_that_counts_is_the_administrators_choice,
        a_ruleset_that_cannot_be_read_lets_nobody_send,
        t86_members_that_are_groups_or_services_get_nothing,
        nested_groups_are_expanded_once_each,
        nested_groups_have_rules_of_their_own,
        all_nested_groups_share_the_limit_of_members,
    }
    lists::{
        t02_the_forks_are_those_of_flow_2,
        t44_each_recipient_gets_one_message,
        t56_without_copy_control_there_is_no_history,
        t57_the_history_tells_what_the_sender_lets_it,
        t63_the_option_tag_is_not_insisted_on,
        t66_a_list_for_a_group_is_refused,
        lists_that_are_no_lists_are_refused,
        t73_a_payload_is_opaque,
        a_service_is_for_its_own_subscribers,
        t106_a_recipient_without_consent_is_named,
    }
    loops::{
        t87_a_message_that_comes_back_is_refused,
        without_the_setting_messages_may_come_back,
        groups_of_two_servers_that_contain_each_other_make_few_copies,
    }
    numbers::{
        t52_a_number_is_sent_to_as_a_sip_address,
        t52_a_list_names_a_number_once_under_two_addresses,
        a_sips_member_is_skipped_without_tls,
    }
    options::{
        t111_a_service_tells_what_it_takes,
        a_group_tells_what_it_takes,
        other_options_are_left_to_the_script,
    }
    size::{
        t101_no_fork_has_more_than_1300_bytes,
        t101_a_history_that_makes_a_message_too_large_is_left_out,
        t101_large_messages_go_by_tcp,
        t101_large_messages_go_by_tcp_to_members_as_well,
    }
    breadth::{ t90_without_breadth_nothing_is_sent }
    fanout_breadth::{
        t89_with_a_breadth_of_1_members_come_one_after_the_other,
        t90_the_breadth_of_all_copies_under_way_is_never_more_than_60,
        concurrency_bounds_the_copies_under_way,
        max_breadth_0_uses_all_that_the_message_has,
    }
    fanout_order::{
        t102_a_second_message_waits_for_the_first_ones_answer,
        without_target_order_nothing_waits,
        a_member_for_whom_too_much_waits_is_skipped_and_told_of,
        what_expires_in_the_queue_is_not_sent_and_told_of,
    }
    fanout_budgets::{
        t110_who_has_sent_too_much_is_refused,
        t110_a_group_that_has_got_too_much_gets_no_more,
        t110_a_full_queue_refuses_and_takes_again,
        t110_without_memory_a_message_is_refused_before_its_202,
        a_rate_bounds_what_all_send_together,
    }
    fanout_outcomes::{
        event_routes_are_told_how_each_copy_has_ended,
        a_slow_event_route_holds_nobody_up,
        what_an_event_route_sets_is_gone_when_it_ends,
        event_routes_do_not_fill_the_shared_memory,
        the_log_names_who_has_not_got_it_and_counts_the_rest,
    }
    fanout_shares::{
        who_sends_to_the_silent_keeps_nobody_waiting,
        one_sender_does_not_fill_a_members_queue,
    }
    fanout_patience::{
        silent_phones_hold_nobody_up,
        silent_copies_keep_their_share_of_max_breadth,
        forks_in_flight_bounds_silent_copies,
    }
    fanout_kept::{ what_a_member_missed_is_handed_over_when_he_registers }
    registrar::{
        a_member_who_registers_the_group_speaks_as_nobody_else,
        a_device_is_reached_where_it_registered_from_and_nowhere_else,
        nobody_registers_another_members_device,
        strangers_relay_nothing,
        the_listener_for_ourselves_takes_no_group_message,
    }
    fanout_overview::{
        fanouts_are_listed_and_may_be_cancelled,
        figures_are_statistics_and_a_command,
        a_stop_names_whom_it_leaves_without_outcome,
        a_stop_names_the_first_of_many,
        a_stop_names_all_to_whoever_debugs,
        a_stop_without_messages_under_way_says_nothing,
    }
    management::{
        groups_and_members_are_managed_by_commands,
        a_command_given_again_changes_nothing,
        services_and_consents_are_managed_by_commands,
        lists_come_in_pages,
        what_is_wrong_with_a_command_is_told_and_nothing_changes,
        a_parameter_that_cannot_be_read_ends_no_command,
        no_part_of_an_answer_is_left_out,
        a_large_set_of_members_is_given_in_parts,
        a_command_that_takes_long_delays_no_message,
    }
    notifications::{
        t104_a_message_that_asks_for_a_notification_is_unchanged,
        t105_a_disposition_notification_is_not_exploded,
    }
    preferences::{
        a_hidden_service_asks_strangers_for_no_option_tag,
        preferences_are_copied_on_request,
        t63_the_option_tag_is_insisted_on_where_it_is_configured,
    }
    list_parts::{
        a_list_is_found_however_it_is_written,
        a_list_that_may_not_be_taken_out_is_refused,
        parts_that_are_no_list_stay_byte_for_byte,
        a_multipart_that_can_be_read_in_two_ways_goes_to_nobody,
        who_may_not_use_a_service_is_refused_before_his_list_is_read,
    }
    service_rules::{
        a_service_that_takes_no_messages_refuses_them,
        service_acl_lets_others_use_a_service,
        foreign_recipients_may_be_denied_or_have_to_consent,
        members_of_a_group_have_consented,
        t82_a_hundred_recipients_are_served_and_one_more_is_not,
        the_limits_of_lists_are_settings,
        a_duplicate_that_is_to_be_anonymous_makes_them_all_so,
        method_and_body_of_an_entry_do_not_count,
        a_one_to_many_message_of_rcs_is_served,
    }
    outcomes::{
        whatever_a_member_answers_is_final,
        whether_the_sender_gets_a_copy_is_a_setting,
        without_the_tag_a_message_elsewhere_is_routed_on,
        further_headers_are_copied_where_the_configuration_names_them,
        the_log_tells_who_sent_to_whom_and_not_what,
        a_message_of_three_bodies_goes_to_a_group_whole,
        a_participant_count_does_not_limit_messages,
    }
    list_choices::{
        t23_the_list_parameter_points_at_a_part,
        t24_a_request_uri_that_names_a_body_part_is_refused,
        a_bcc_recipient_finds_their_own_entry_with_bcc_mode_self,
        members_learn_of_each_other_with_group_history,
        one_bad_entry_refuses_all_with_bad_entry_reject,
        references_in_a_list_are_ignored_and_logged,
        t100_a_machine_is_a_recipient_with_literal_targets_allow,
        an_entry_sets_the_headers_of_uri_headers,
        a_list_chooses_among_the_members_with_intersect,
        a_list_adds_to_the_members_with_union,
        a_list_inside_an_opaque_body_is_refused,
    }
    durability::{
        a_202_comes_when_the_message_is_on_the_disk,
        a_run_without_trouble_leaves_an_empty_ledger,
        the_ledger_does_not_name_an_anonymous_sender,
        a_full_disk_is_answered_503_and_it_goes_on_once_there_is_room,
        a_ledger_that_is_gone_is_answered_503,
        a_stopped_ledger_process_is_answered_503,
        the_same_request_on_another_branch_is_known_after_a_crash,
        what_was_given_up_is_not_sent_after_a_crash,
        a_killed_proxy_goes_on_and_knows_its_client_again,
        an_orderly_stop_names_the_rest_and_the_next_start_sends_it,
        without_a_ledger_a_stop_names_what_is_lost,
    }
    hostile::{
        broken_messages_do_no_harm,
        tortuous_but_legal_messages_are_served,
        text_from_outside_reaches_the_log_only_escaped_and_cut,
    }
}
udp {
    durability::{
        of_proxies_killed_at_any_moment_none_forgets_a_recipient,
        of_proxies_killed_while_members_wait_none_forgets_a_recipient,
        a_retransmission_waits_with_its_message,
    }
    hostile::{ bytes_before_a_request_change_nothing }
    answers::{ t112_a_content_length_beyond_the_datagram_is_refused }
    steps::{ an_answer_of_the_script_is_repeated_for_retransmissions }
    retransmission::{ t91_five_retransmissions_give_five_equal_answers_and_one_set_of_forks }
    registrar::{ nobody_ends_a_message_early }
    ims_as::{ nobody_ends_early_what_goes_back_to_the_core }
    workers::{ identifiers_of_four_workers_never_repeat }
    stopped_worker::{ a_worker_that_is_stopped_with_the_lock_stops_nobody }
    memory_reserve::{
        copies_that_come_back_leave_the_proxy_its_memory,
        every_memory_manager_is_asked,
        without_a_reserve_nobody_is_asked,
    }
    fanout_memory::{
        every_202_is_followed_by_an_attempt_for_every_member,
        a_copy_for_which_there_is_no_memory_is_tried_again,
    }
}
tcp {
    list_choices::{ t83_a_list_of_more_than_64_kib_is_too_long }
    fanout_connection::{
        no_copy_is_lost_while_the_connection_is_made,
        every_sample_has_room_for_what_waits_for_a_connection,
    }
    tls_roads::{
        a_message_over_tls_is_sent_on_over_tls,
        a_sips_member_is_sent_to_over_tls,
        a_peer_is_trusted_over_tls_alone,
        who_shows_no_certificate_does_not_reach_the_group,
        a_core_of_an_unknown_authority_gets_no_copy,
        a_core_is_known_by_the_authority_of_its_certificate,
    }
}
}
