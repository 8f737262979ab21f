/*
 * horizon.h
 *		Positions, and up to which of them the log is complete.
 */
#ifndef F6_HORIZON_H
#define F6_HORIZON_H

extern int64 f6_position_next(void);
extern void f6_positions_settle(void);
extern void f6_horizon_hold(void);
extern int64 f6_horizon_now(bool ignore_own);
extern int64 f6_horizon_at_commit(void);
extern bool f6_horizon_covers(int64 position);

#endif /* F6_HORIZON_H */
