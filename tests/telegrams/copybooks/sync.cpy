      * Slack bytes: before a field, within a group, within a table.
       01  SLACK.
           05  SLACK-A                 PIC X.
           05  SLACK-HALF              PIC S9(4) COMP SYNC.
           05  SLACK-B                 PIC X.
           05  SLACK-FULL              PIC S9(9) COMP SYNC.
           05  SLACK-GROUP.
               10  SLACK-C             PIC X.
               10  SLACK-D             PIC S9(8) COMP SYNC.
               10  SLACK-E             PIC X.
           05  SLACK-ROWS OCCURS 3.
               10  SLACK-F             PIC X(3).
               10  SLACK-G             PIC S9(4) COMP SYNCHRONIZED.
               10  SLACK-H             PIC S9(9) COMP SYNC RIGHT.
               10  SLACK-I             PIC X.
           05  SLACK-J                 PIC X.
           05  SLACK-K                 PIC 9(4) COMP SYNC.
