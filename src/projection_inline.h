/*
 * projection_inline.h
 *		Projections that the transactions which append write.
 */
#ifndef F6_PROJECTION_INLINE_H
#define F6_PROJECTION_INLINE_H

extern void f6_projection_inline_init(void);
extern int32 f6_projection_inline_leave_out(int32 id);

#endif /* F6_PROJECTION_INLINE_H */
