/*
 * launcher.h
 *		Starting the workers of databases.
 */
#ifndef F6_LAUNCHER_H
#define F6_LAUNCHER_H

extern void f6_launcher_init(void);

#endif /* F6_LAUNCHER_H */
