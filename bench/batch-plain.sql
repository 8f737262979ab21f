-- A batch and its links, in one transaction and one message, into tables that nothing guards.
copy plain.event (event_type, object_ids, event_data) from '../batch-:size' \;
copy plain.event_object (object_id) from '../links-:size';
