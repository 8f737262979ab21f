/*
 * command.h
 *		The commands that there are, compiled.
 */
#ifndef F6_COMMAND_H
#define F6_COMMAND_H

#include "fmgr.h"

#include "command_context.h"
#include "fold_program.h"

/* What is known of a command from its row in f6.command; good until the end of the execution. */
typedef struct f6_command
{
	const char *name;
	int attempts;
	const char *rejected_type; /* NULL: rejections are not recorded */
	Oid handler;
	f6_command_context *context; /* NULL: it depends on no events */
	f6_fold_program *program;
	Jsonb *schema; /* NULL: any payload will do */
	FmgrInfo schema_site;
} f6_command;

extern void f6_command_init(void);
extern void f6_command_begin(void);
extern void f6_command_end(void);
extern f6_command *f6_command_get(const char *name);
extern void f6_command_check_privileges(const f6_command *command);
extern void f6_command_spoil(void);

#endif /* F6_COMMAND_H */
