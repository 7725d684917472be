      ******************************************************************
      *  고객 기본 정보 customer master, synthetic                      *
      ******************************************************************
       01  CUSTOMER-RECORD.
           05  CUST-KEY.
               10  CUST-BRANCH         PIC 9(4).
               10  CUST-NUMBER         PIC 9(8).
           05  CUST-TYPE               PIC X.
               88  CUST-PERSON                    VALUE 'P'.
               88  CUST-COMPANY                   VALUE 'C' 'K'.
           05  CUST-STATUS             PIC 99.
               88  CUST-ACTIVE                    VALUE 01 THRU 49.
               88  CUST-BLOCKED                   VALUE 50, 51, 59.
               88  CUST-CLOSED                    VALUE 90 THROUGH 99.
           05  CUST-NAMES.
               10  CUST-NAME           PIC X(30).
               10  CUST-NAME-SHORT     PIC X(10).
           05  CUST-COMPANY-NAMES REDEFINES CUST-NAMES.
               10  CUST-COMPANY-NAME   PIC X(36).
               10  CUST-COMPANY-KIND   PIC 9(4).
           05  CUST-BALANCE            PIC S9(11)V99 COMP-3.
           05  CUST-LIMIT              PIC S9(9) COMP.
           05  CUST-RATE               PIC SV9(5) COMP-3.
           05  CUST-OPENED             PIC 9(8).
           05  CUST-OPENED-PARTS REDEFINES CUST-OPENED.
               10  CUST-OPENED-YEAR    PIC 9(4).
               10  CUST-OPENED-MONTH   PIC 99.
               10  CUST-OPENED-DAY     PIC 99.
           05  CUST-OPENED-TEXT REDEFINES CUST-OPENED-PARTS PIC X(8).
           05  ACCT-COUNT              PIC S9(3) COMP-3.
           05  ACCOUNTS OCCURS 0 TO 5 TIMES
                        DEPENDING ON ACCT-COUNT
                        ASCENDING KEY IS ACCT-NUMBER
                        INDEXED BY ACCT-INDEX.
               10  ACCT-NUMBER         PIC X(14).
               10  ACCT-BALANCE        PIC S9(13)V99 COMP-3.
               10  ACCT-FLAGS          PIC X OCCURS 3 TIMES.
