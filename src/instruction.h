/*
 * instruction.h
 *		An object of JSON that says what is to be done: a step of an upcaster, or a rule of a fold.
 */
#ifndef F6_INSTRUCTION_H
#define F6_INSTRUCTION_H

#include "json_pointer.h"

/* An object, and what raises the error if it is no good, for a reason that is a sentence about "it". */
typedef struct f6_instruction
{
	const JsonbValue *object;
	void (*refuse)(const void *arg, const char *reason);
	const void *arg;
} f6_instruction;

extern const void *f6_instruction_operation(const f6_instruction *instruction,
											const void *operations, int count, Size size);
extern void f6_instruction_check_keys(const f6_instruction *instruction, const char *operation,
									  const char *const *keys, int count);
extern const char *f6_instruction_text(const f6_instruction *instruction, const char *key);
extern const char *f6_instruction_needed_text(const f6_instruction *instruction, const char *key);
extern f6_pointer f6_instruction_pointer(const f6_instruction *instruction, const char *key);

#endif /* F6_INSTRUCTION_H */
