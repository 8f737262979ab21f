/*
 * listen.c
 *		Listens on a channel, and writes when each notification came: the time, in microseconds since 1970, and the horizon that it tells.
 *
 * listen CONNECTION CHANNEL
 */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* end reports what went wrong, and ends the program. */
static void
end(PGconn *connection)
{
	fprintf(stderr, "listen: %s", PQerrorMessage(connection));
	exit(1);
}

/* put writes when a notification came, and what it tells. */
static void
put(const PGnotify *notification)
{
	const char *horizon = strstr(notification->extra, "\"horizon\": ");
	struct timeval now;

	gettimeofday(&now, NULL);
	if (horizon != NULL)
		printf("%lld\t%lld\n", now.tv_sec * 1000000LL + now.tv_usec,
			   atoll(horizon + strlen("\"horizon\": ")));
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	PGconn *connection = PQconnectdb(argc > 1 ? argv[1] : "");
	struct pollfd socket = { .events = POLLIN };
	PGresult *result;
	PGnotify *notification;
	char command[200];

	if (argc != 3 || PQstatus(connection) != CONNECTION_OK)
		end(connection);
	snprintf(command, sizeof(command), "listen %s", argv[2]);
	result = PQexec(connection, command);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		end(connection);
	PQclear(result);
	socket.fd = PQsocket(connection);
	while (poll(&socket, 1, -1) > 0 && PQconsumeInput(connection))
	{
		while ((notification = PQnotifies(connection)) != NULL)
		{
			put(notification);
			PQfreemem(notification);
		}
	}
	return 0;
}
