/*
 * question.c
 *		Reading from a function's arguments what is asked of an object's events.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "f6.h"
#include "errors.h"
#include "event_type.h"
#include "jsonb_walk.h"
#include "projection.h"
#include "question.h"

/* required_argument raises an error when an argument that must have a value has none. */
static void
required_argument(FunctionCallInfo fcinfo, int number, const char *name, const char *hint)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR, (errcode(F6_ERR_NULL_ARGUMENT), errmsg("%s must not be NULL", name),
						errhint("%s", hint)));
}

/* f6_argument_valid_at returns a material time that must be given. */
TimestampTz
f6_argument_valid_at(FunctionCallInfo fcinfo, int number)
{
	required_argument(
		fcinfo, number, "valid_at",
		"Leave it out to ask about now, or give 'infinity' for all that is recorded.");
	return PG_GETARG_TIMESTAMPTZ(number);
}

/* f6_argument_known_at returns a formal time that must be given, under the name that it has there. */
TimestampTz
f6_argument_known_at(FunctionCallInfo fcinfo, int number, const char *name)
{
	required_argument(fcinfo, number, name, "Leave it out to ask with what is known now.");
	return PG_GETARG_TIMESTAMPTZ(number);
}

/* f6_argument_known_from returns the formal time that a comparison begins at, which must be given. */
TimestampTz
f6_argument_known_from(FunctionCallInfo fcinfo, int number)
{
	required_argument(fcinfo, number, "known_from",
					  "Give '-infinity' for all that was ever learned.");
	return PG_GETARG_TIMESTAMPTZ(number);
}

/* f6_check_known_span refuses two formal times of which the first is later. */
void
f6_check_known_span(TimestampTz known_from, TimestampTz known_to)
{
	if (known_from > known_to)
		ereport(
			ERROR,
			(errcode(F6_ERR_BAD_ARGUMENT), errmsg("known_from must not be later than known_to"),
			 errdetail("known_from is %s, known_to %s.", pstrdup(timestamptz_to_str(known_from)),
					   pstrdup(timestamptz_to_str(known_to))),
			 errhint("Give the earlier one first.")));
}

/* f6_argument_legal returns whether only what has legal force counts. */
bool
f6_argument_legal(FunctionCallInfo fcinfo, int number)
{
	required_argument(fcinfo, number, "legal",
					  "Give true to count only what has legal force, false to count every claim.");
	return PG_GETARG_BOOL(number);
}

/* f6_argument_projection refuses the name of a projection, where only the merged data of events can be asked for. */
void
f6_argument_projection(FunctionCallInfo fcinfo, int number)
{
	const f6_projection *projection;

	if (PG_ARGISNULL(number))
		return;
	projection = f6_projection_get(text_to_cstring(PG_GETARG_TEXT_PP(number)));
	ereport(ERROR, (errcode(F6_ERR_UNSUPPORTED),
					errmsg("projection \"%s\" cannot be asked for here", projection->name),
					errhint("Leave it out to merge the data of the events.")));
}

/* fold_of returns the fold of a projection whose rows are of objects. */
static f6_projection *
fold_of(const char *name)
{
	f6_projection *projection = f6_projection_get(name);
	f6_acting before;

	if (projection->handler_text != NULL || projection->key_text != NULL)
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT),
				 errmsg("projection \"%s\" has no states of objects", name),
				 errdetail(projection->handler_text != NULL ? "It has a handler."
															: "Its rows have another key.")));
	f6_projection_act(projection, &before);
	f6_projection_compile(projection);
	f6_act_end(&before);
	return projection;
}

/* f6_argument_fold has a question ask for states as the projection makes them that an argument names, if it is not NULL. */
void
f6_argument_fold(FunctionCallInfo fcinfo, int number, f6_question *question)
{
	f6_projection *projection;

	if (PG_ARGISNULL(number))
		return;
	projection = fold_of(text_to_cstring(PG_GETARG_TEXT_PP(number)));
	question->program = projection->program;
	question->legal |= projection->legal;
	question->with_row = f6_fold_program_needs_row(projection->program);
}

/* check_versions refuses what does not say which types are to be read in which version, all of them registered. */
static void
check_versions(Jsonb *versions)
{
	f6_jsonb_object_walk walk;
	JsonbValue root;
	JsonbValue type;
	JsonbValue version;

	f6_jsonb_root(versions, &root);
	if (!f6_jsonb_is_object(&root))
		ereport(ERROR,
				(errcode(F6_ERR_BAD_ARGUMENT),
				 errmsg("versions must be a JSON object, found %s", f6_jsonb_type_name(&root)),
				 errhint("It says which types to read in which version, such as "
						 "'{\"Residence\": \"1\"}'.")));
	f6_jsonb_object_begin(&walk, &root);
	while (f6_jsonb_object_next(&walk, &type, &version))
	{
		const char *event_type = pnstrdup(type.val.string.val, type.val.string.len);

		if (version.type != jbvString)
			ereport(ERROR, (errcode(F6_ERR_BAD_ARGUMENT),
							errmsg("the version of event type \"%s\" must be a string, found %s",
								   event_type, f6_jsonb_type_name(&version))));
		(void) f6_event_type_get(event_type,
								 pnstrdup(version.val.string.val, version.val.string.len));
	}
}

/* f6_argument_versions returns which types are to be read in another version; NULL for none. */
Jsonb *
f6_argument_versions(FunctionCallInfo fcinfo, int number)
{
	Jsonb *versions;

	if (PG_ARGISNULL(number))
		return NULL;
	versions = PG_GETARG_JSONB_P(number);
	check_versions(versions);
	return versions;
}
